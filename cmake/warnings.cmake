# Target "warnings": the flags every folder of ours builds with.
add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wundef -Wpointer-arith -Wwrite-strings)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Cutting text to fit is what snprintf is for here.
  target_compile_options(warnings INTERFACE -Wno-format-truncation)
endif()
if(CT_WERROR)
  target_compile_options(warnings INTERFACE -Werror)
endif()
if(NOT WIN32) # there, a test may say that Check's formats are not what its header says
  target_compile_options(warnings INTERFACE -Wformat=2)
endif()
if(WIN32)
  # isnan() and isinf() of its headers convert to every floating type.
  target_compile_options(warnings INTERFACE -Wno-float-conversion)
  # Windows 10; UTF-16 calls; the standard's printf; gmtime_r and strtok_r.
  target_compile_definitions(warnings INTERFACE _WIN32_WINNT=0x0A00 NTDDI_VERSION=0x0A000006 UNICODE _UNICODE
    __USE_MINGW_ANSI_STDIO=1 _POSIX_C_SOURCE=200809L)
else()
  target_compile_definitions(warnings INTERFACE _GNU_SOURCE)
endif()

# Hardening for what ships; sanitizers bring their own checks.
if(NOT SANITIZE)
  target_compile_options(warnings INTERFACE -fstack-protector-strong)
  if(WIN32)
    add_link_options(-fstack-protector-strong)
  else()
    target_compile_options(warnings INTERFACE -fPIE)
  endif()
  if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(warnings INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  if(NOT WIN32 AND NOT APPLE)
    add_link_options(-pie -Wl,-z,relro,-z,now)
  endif()
endif()
