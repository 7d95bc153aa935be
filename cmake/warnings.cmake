# Target "warnings": the flags every folder of ours builds with.
add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Cutting text to fit is what snprintf is for here.
  target_compile_options(warnings INTERFACE -Wno-format-truncation)
endif()
if(CT_WERROR)
  target_compile_options(warnings INTERFACE -Werror)
endif()
if(NOT WIN32)
  target_compile_definitions(warnings INTERFACE _GNU_SOURCE)
endif()

# Hardening for what ships; sanitizers bring their own checks.
if(NOT SANITIZE)
  target_compile_options(warnings INTERFACE -fstack-protector-strong -fPIE)
  if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(warnings INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  if(NOT WIN32 AND NOT APPLE)
    add_link_options(-pie -Wl,-z,relro,-z,now)
  endif()
endif()
