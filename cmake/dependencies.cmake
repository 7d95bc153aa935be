# Every third-party library, by package, as one imported target. The library's
# header is included by one source file of ours; this is the list of what we rely on.
if(WIN32)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a) # not .dll.a: one file is the whole program
endif()
find_package(PkgConfig REQUIRED)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent_core)      # core/event
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)          # core/http, core/crypto
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)       # core/http
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)             # core/http
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)                # core/http
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)            # core/config
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)           # small documents of ours
if(CT_SERVER)
  pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)         # server/store
  pkg_check_modules(POSTGRES REQUIRED IMPORTED_TARGET libpq)         # server/store
endif()
find_package(Threads REQUIRED)
