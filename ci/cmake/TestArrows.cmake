# The arrow check itself: each include against the rules must stop it and name file and rule; allowed ones must pass.
# cmake -DWORK=dir -P TestArrows.cmake
cmake_policy(VERSION 3.22)
set(CASES
    "impl/broker/x.c|#include \"agent/agent.h\"|broker may include only"
    "impl/pcp/x.h|#include \"world/world.h\"|pcp may include only"
    "impl/agent/x.c|#include <sys/socket.h>|only impl/world may know"
    "impl/orchestrator/jobs/x.c|#include <uv.h>|only impl/world may know"
    "impl/net/x.c|#include <libwebsockets.h>|only impl/world may know"
    "impl/client/x.c|#include \"simulator/world/sim.h\"|may not know what is built on top"
    "impl/base/x.c|#include \"fakes/common/fake.h\"|may not know what is built on top"
    "impl/broker/x.c|#include \"world/real.h\"|never one of the worlds"
    "impl/broker/x.c|#include \"world/world.h\"|-"
    "impl/broker/tests/x.c|#include \"simulator/world/sim.h\"|-"
    "impl/world/x.c|#include <uv.h>|-")
foreach(case ${CASES})
    string(REPLACE "|" ";" parts "${case}")
    list(GET parts 0 file)
    list(GET parts 1 line)
    list(GET parts 2 expected) # "-": allowed
    file(REMOVE_RECURSE ${WORK})
    foreach(room agent base broker client net orchestrator pcp world)
        file(MAKE_DIRECTORY ${WORK}/impl/${room})
    endforeach()
    file(WRITE ${WORK}/${file} "${line}\n")
    execute_process(COMMAND ${CMAKE_COMMAND} -DDALANG_ROOT=${WORK} -P ${CMAKE_CURRENT_LIST_DIR}/DalangArrows.cmake
                    RESULT_VARIABLE result ERROR_VARIABLE text OUTPUT_QUIET)
    string(REGEX REPLACE "[ \n]+" " " text "${text}")
    if(expected STREQUAL "-")
        if(NOT result EQUAL 0)
            message(FATAL_ERROR "${file}: ${line}: refused though it is allowed: ${text}")
        endif()
    else()
        string(FIND "${text}" "${expected}" at_rule)
        string(FIND "${text}" "${file}" at_file)
        if(result EQUAL 0 OR at_rule EQUAL -1 OR at_file EQUAL -1)
            message(FATAL_ERROR "${file}: ${line}: not refused with its file and \"${expected}\": ${text}")
        endif()
    endif()
endforeach()
file(REMOVE_RECURSE ${WORK})
message("arrows: all cases as they should be")
