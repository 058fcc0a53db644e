#!/bin/sh
# Prints what the system's own commands tell, as one JSON object.
quoted() {
    printf '%s' "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

os_release() {
    [ -r /etc/os-release ] && sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" /etc/os-release | head -n 1
}

printf '{"hostname":"%s","kernel":"%s","kernelrelease":"%s","architecture":"%s",' \
    "$(quoted "$(uname -n)")" "$(quoted "$(uname -s)")" "$(quoted "$(uname -r)")" "$(quoted "$(uname -m)")"
printf '"os":{"name":"%s","release":"%s"}}\n' "$(quoted "$(os_release ID)")" "$(quoted "$(os_release VERSION_ID)")"
