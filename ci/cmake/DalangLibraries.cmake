# What Debian 12 provides (see the README's table); ci/install installs it.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets)

# What runs thousands of agents allocates a lot: a faster malloc saves it a tenth to a quarter of its time. Services and
# the agent stay with libc's: the broker gained nothing and took more memory. Not beside sanitizers and fuzzing engines,
# which bring their own.
option(DALANG_MIMALLOC "mimalloc for the dalang program" ON)
add_library(fast_malloc INTERFACE)
if(DALANG_MIMALLOC AND NOT (DALANG_ASAN OR DALANG_TSAN OR DALANG_FUZZ OR DALANG_FUZZ_ENGINE))
    find_package(mimalloc 2 REQUIRED)
    target_link_libraries(fast_malloc INTERFACE mimalloc)
endif()

find_path(HTTP_PARSER_INCLUDE http_parser.h REQUIRED)
find_library(HTTP_PARSER_LIBRARY http_parser REQUIRED)
add_library(http_parser INTERFACE)
target_include_directories(http_parser SYSTEM INTERFACE ${HTTP_PARSER_INCLUDE})
target_link_libraries(http_parser INTERFACE ${HTTP_PARSER_LIBRARY})

find_path(WSLAY_INCLUDE wslay/wslay.h REQUIRED)
find_library(WSLAY_LIBRARY wslay REQUIRED)
add_library(wslay INTERFACE)
target_include_directories(wslay SYSTEM INTERFACE ${WSLAY_INCLUDE})
target_link_libraries(wslay INTERFACE ${WSLAY_LIBRARY})
