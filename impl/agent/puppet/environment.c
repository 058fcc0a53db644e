#include "agent/puppet/environment.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <langinfo.h>
#include <locale.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADDED_MAX = 4 };

/* Also when the locale that is asked for does not exist. */
static bool locale_is_ascii(void) {
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool ascii = locale == (locale_t)0 || strcmp(nl_langinfo_l(CODESET, locale), "ANSI_X3.4-1968") == 0;
    if (locale != (locale_t)0) {
        freelocale(locale);
    }
    return ascii;
}

static bool names(const char *entry, const char *name) {
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

/* Takes the place of one of that name. */
static void set(char **environment, size_t *count, const char *name, char *entry) {
    for (size_t i = 0; i < *count; i++) {
        if (names(environment[i], name)) {
            mem_free(environment[i]);
            environment[i] = entry;
            return;
        }
    }
    environment[(*count)++] = entry;
}

char **puppet_environment(void) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **environment = mem_array(count + ADDED_MAX + 1, sizeof *environment);
    for (size_t i = 0; i < count; i++) {
        environment[i] = str_dup(environ[i]);
    }
    if (locale_is_ascii()) {
        const char *given = getenv("RUBYOPT");
        set(environment, &count, "RUBYOPT", str_printf("RUBYOPT=%s -EUTF-8", given != NULL ? given : ""));
    }
    const struct passwd *user = geteuid() != 0 ? getpwuid(geteuid()) : NULL;
    if (user != NULL) {
        set(environment, &count, "USER", str_printf("USER=%s", user->pw_name));
        set(environment, &count, "LOGNAME", str_printf("LOGNAME=%s", user->pw_name));
        set(environment, &count, "HOME", str_printf("HOME=%s", user->pw_dir));
    }
    environment[count] = NULL;
    return environment;
}

void puppet_environment_free(char **environment) {
    for (size_t i = 0; environment[i] != NULL; i++) {
        mem_free(environment[i]);
    }
    mem_free(environment);
}
