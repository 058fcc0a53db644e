# A core links without the system: `nm -u` of its library may name only our own pure libraries and the allow-list below
# (README, "Architecture": the same core in two worlds). Run by ctest as
#   cmake -DCORE=broker -DLIBRARIES=libbroker.a,libnet.a,… -P CheckSymbols.cmake
# where every library on the list is checked, and all of them together are "our own".
find_program(NM nm REQUIRED)
string(REPLACE "," ";" libraries "${LIBRARIES}")

set(allowed
    # the C library, as far as it is arithmetic on memory
    "mem(cpy|move|set|cmp|chr|rchr|mem|pcpy)" "raw?memchr" "__mem[a-z]*_chk"
    "str(len|nlen|cmp|ncmp|casecmp|ncasecmp|chr|chrnul|rchr|str|casestr|spn|cspn|pbrk|cpy|ncpy|cat|ncat|tok_r|dup|ndup|sep)"
    "stpcpy" "__st[rp][a-z]*_chk" "__rawmemchr"
    "strto(l|ll|ul|ull|d|f|ld|imax|umax)" "__isoc23_strto[a-z]+" "ato[il]" "atoll"
    "(v|)sn?printf" "__v?sn?printf_chk" "(v|)asprintf" "sscanf" "__isoc(99|23)_sscanf"
    "qsort" "qsort_r" "bsearch" "lsearch" "abs" "labs" "llabs" "div" "ldiv" "lldiv"
    "is(alpha|alnum|digit|xdigit|space|upper|lower|print|punct|graph|cntrl)" "to(upper|lower)" "__ctype_[a-z_]+"
    "abort" "__assert_fail" "__stack_chk_fail" "_GLOBAL_OFFSET_TABLE_" "__errno_location" "__explicit_bzero_chk" "explicit_bzero"
    "(lf?|)(floor|ceil|round|trunc|fabs|fmod|modf|lround|llround|rint|nearbyint)[fl]?" "__udivti3" "__umodti3" "__(is(nan|inf)|finite|signbit|fpclassify)[fl]?"
    "inet_(pton|ntop)"
    # libraries that compute, and SQLite (whose system is the world's VFS)
    "json_[a-z_0-9]+" "jansson_[a-z_]+" "sqlite3_[a-z_0-9]+" "pcre2_[a-z_]+_8" "http_(parser|should|body|method|status|errno)[a-z_]*"
    "wslay_[a-z_]+" "(in|de)flate[A-Za-z_0-9]*" "crc32" "compressBound" "yaml_[a-z_]+"
    "EVP_[A-Za-z_0-9]+" "OSSL_PARAM_[A-Za-z_0-9]+" "CRYPTO_memcmp" "OPENSSL_cleanse" "HMAC[A-Za-z_]*" "SHA(1|256)[A-Za-z_]*" "PKCS5_[A-Z_0-9]+"
    "PEM_read_bio_X509(_CRL|_REQ)?" "X509_((CRL|REQ)_)?(free|verify|get_[a-z_]+|get0_[A-Za-z]+)" "X509_NAME_get_text_by_NID" "ASN1_TIME_to_tm"
    "BIO_(new_mem_buf|free)" "ERR_clear_error"
    # what the compiler adds
    "__(asan|ubsan|sanitizer|tsan|sancov|gcov|llvm)[A-Za-z_0-9]*")

set(own "")
foreach(library ${libraries})
    execute_process(COMMAND ${NM} -g --defined-only -f posix ${library} OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "nm ${library} failed")
    endif()
    string(REGEX MATCHALL "[A-Za-z_][A-Za-z_0-9.]* [TDBRVWCi] " symbols "${text}")
    foreach(symbol ${symbols})
        string(REGEX REPLACE " .*" "" symbol "${symbol}")
        set(own_${symbol} TRUE)
    endforeach()
endforeach()

# base/mem.c is where memory comes from and ends; it alone may ask the system for it. base/option.c prints help for mains.
set(exempt "mem.c.o:(malloc|calloc|realloc|free|write|_exit)|option.c.o:(stdout|fputc|fputs|fwrite|fprintf|printf|putchar|puts|putc|__fprintf_chk|__printf_chk)")

set(bad "")
set(checked 0)
foreach(library ${libraries})
    execute_process(COMMAND ${NM} -u -A -f posix ${library} OUTPUT_VARIABLE text ERROR_QUIET)
    string(REGEX MATCHALL "[^\n]+" lines "${text}")
    foreach(line ${lines})
        if(line MATCHES "\\[([^]]+)\\]: ([A-Za-z_0-9.]+) U")
            set(object ${CMAKE_MATCH_1})
            set(symbol ${CMAKE_MATCH_2})
            math(EXPR checked "${checked} + 1")
            if(own_${symbol} OR "${object}:${symbol}" MATCHES "^(${exempt})$")
                continue()
            endif()
            set(ok FALSE)
            foreach(pattern ${allowed})
                if(symbol MATCHES "^${pattern}$")
                    set(ok TRUE)
                    break()
                endif()
            endforeach()
            if(NOT ok)
                list(APPEND bad "${object}: ${symbol}")
            endif()
        endif()
    endforeach()
endforeach()
if(bad)
    list(REMOVE_DUPLICATES bad)
    list(JOIN bad "\n  " bad)
    message(FATAL_ERROR "${CORE}: reaches around world.h:\n  ${bad}")
endif()
if(checked EQUAL 0)
    message(FATAL_ERROR "${CORE}: nm printed no symbols; nothing was checked")
endif()
message("${CORE}: ${checked} references, all allowed")
