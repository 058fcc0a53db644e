#!/bin/sh
# Prints {"message": …} with the parameter as a JSON string.
printf '%s' "$PT_message" | LC_ALL=C awk '
    BEGIN {
        for (i = 1; i < 32; i++) escape[sprintf("%c", i)] = sprintf("\\u%04x", i)
        escape["\""] = "\\\""; escape["\\"] = "\\\\"; escape["\t"] = "\\t"; escape["\r"] = "\\r"
        printf "{\"message\":\""
    }
    {
        if (NR > 1) printf "\\n"
        for (i = 1; i <= length($0); i++) {
            c = substr($0, i, 1)
            printf "%s", (c in escape) ? escape[c] : c
        }
    }
    END { print "\"}" }
'
