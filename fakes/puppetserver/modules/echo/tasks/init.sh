#!/bin/sh
# Prints {"message": …} with the parameter as a JSON string. The dot keeps a last line feed from getting lost.
printf '%s.' "$PT_message" | LC_ALL=C awk '
    BEGIN {
        for (i = 1; i < 32; i++) escape[sprintf("%c", i)] = sprintf("\\u%04x", i)
        escape["\""] = "\\\""; escape["\\"] = "\\\\"; escape["\t"] = "\\t"; escape["\r"] = "\\r"
    }
    {
        line = ""
        for (i = 1; i <= length($0); i++) {
            c = substr($0, i, 1)
            line = line ((c in escape) ? escape[c] : c)
        }
        text = text (NR > 1 ? "\\n" : "") line
    }
    END { printf "{\"message\":\"%s\"}\n", substr(text, 1, length(text) - 1) }
'
