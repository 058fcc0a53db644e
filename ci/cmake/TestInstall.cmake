# `cmake --install` puts in place what a user of an installation needs: programs that run from there, a manual page and
# the completion of three shells for each command, service files and what the programs look for beside themselves.
# cmake -DBUILD=dir -DWORK=dir -P TestInstall.cmake
cmake_policy(VERSION 3.22)
file(REMOVE_RECURSE ${WORK})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/usr RESULT_VARIABLE failed
                OUTPUT_QUIET ERROR_VARIABLE text)
if(failed)
    message(FATAL_ERROR "cmake --install: ${text}")
endif()

set(clients puppet-job puppet-task puppet-plan puppet-app puppet-access puppet-query)
set(missing "")
foreach(program dalang ${clients} dalang-broker dalang-orchestrator dalang-agent dalang-fakes)
    execute_process(COMMAND ${WORK}/usr/bin/${program} --version RESULT_VARIABLE failed OUTPUT_VARIABLE version ERROR_QUIET)
    if(failed OR NOT version MATCHES "[0-9]+\\.[0-9]+\\.[0-9]+")
        list(APPEND missing "bin/${program} --version")
    endif()
endforeach()
foreach(program dalang ${clients})
    list(APPEND files share/bash-completion/completions/${program} share/fish/vendor_completions.d/${program}.fish)
endforeach()
list(APPEND files share/zsh/site-functions/_dalang share/dalang/modules share/dalang/broker/conf.d/pcp-broker.conf
     share/dalang/orchestrator/conf.d/orchestrator.conf bin/dalang-exec bin/dalang-puppet bin/pxp-module-puppet
     bin/apply_ruby_shim.rb lib/systemd/system/dalang-broker.service lib/systemd/system/dalang-orchestrator.service
     lib/systemd/system/dalang-agent.service)
foreach(file ${files})
    if(NOT EXISTS ${WORK}/usr/${file})
        list(APPEND missing ${file})
    endif()
endforeach()

# One page for each command there is, and it is that of the program beside it.
file(MAKE_DIRECTORY ${WORK}/pages)
execute_process(COMMAND ${WORK}/usr/bin/dalang man --write ${WORK}/pages RESULT_VARIABLE failed)
file(GLOB pages RELATIVE ${WORK}/pages ${WORK}/pages/*.1)
list(LENGTH pages count)
if(failed OR count LESS 20)
    list(APPEND missing "all but ${count} manual pages")
endif()
foreach(page ${pages})
    execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${WORK}/pages/${page} ${WORK}/usr/share/man/man1/${page}
                    RESULT_VARIABLE differs ERROR_QUIET)
    if(differs)
        list(APPEND missing share/man/man1/${page})
    endif()
endforeach()
if(missing)
    list(JOIN missing "\n  " missing)
    message(FATAL_ERROR "not installed, or not as it should be:\n  ${missing}")
endif()
message("${count} manual pages, all programs and completions are in place")
