# SANITIZE=address,undefined | thread: applied to everything, dependencies of ours included.
set(SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined")
if(SANITIZE)
  add_compile_options(-fsanitize=${SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SANITIZE})
endif()
# Coverage of the libraries, too, or a fuzzer sees nothing of what it runs.
if(CT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
