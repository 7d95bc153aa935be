# Helpers for the folders' lists.

# A library of one folder: ct_library(NAME LINKS a b SOURCES x.c y.c)
function(ct_library name)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS;SOURCES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC warnings ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
endfunction()

# A program: ct_program(NAME LINKS a b SOURCES main.c)
function(ct_program name)
  cmake_parse_arguments(ARG "" "" "LINKS;SOURCES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE warnings ${ARG_LINKS})
  target_compile_definitions(${name} PRIVATE CT_VERSION="${CT_VERSION}")
endfunction()
