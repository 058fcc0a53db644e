/* dalang certs, completion, man and env. */
#include "simulator/dalang/tests/programs.h"

#include "base/mem.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *dir;

static int make_dir(void **state) {
    (void)state;
    dir = make_temporary_dir();
    return 0;
}

static int remove_dir(void **state) {
    (void)state;
    remove_tree(dir);
    mem_free(dir);
    return 0;
}

struct use {
    const char *argv[16];
    int code;
    const char *out, *err;
};

static void expect_all(const struct use *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct program p = {.dir = dir, .env = {"DALANG_DIR"}};
        memcpy(p.argv, list[i].argv, sizeof(list[i].argv));
        expect_program(&p, list[i].code, list[i].out, list[i].err);
    }
}
#define EXPECT(list) expect_all(list, sizeof(list) / sizeof((list)[0]))
#define OPENSSL "/usr/bin/openssl"

static void certificates(void **state) {
    (void)state;
    write_file(dir, "plain-file", "");
    write_file(dir, "broken/ca.pem", "no certificate\n");
    write_file(dir, "broken/ca.key", "no key\n");
    static const struct use list[] = {
        {{"dalang", "certs", "init", "--dir", "pki"}, 0, "pki/ca.pem\n", ""},
        {{"dalang", "certs", "issue", "web.example.com", "--dir", "pki"},
         0,
         "pki/certs/web.example.com.pem\npki/certs/web.example.com.key\n",
         ""},
        {{"dalang", "certs", "issue", "agent-1", "--client-only", "--lifetime", "1h", "-d", "pki"},
         0,
         "pki/certs/agent-1.pem\npki/certs/agent-1.key\n",
         ""},
        {{"dalang", "certs", "issue", "srv", "--dns", "a.test", "--dns", "b.test", "--ip", "127.0.0.9", "-d", "pki"},
         0,
         "pki/certs/srv.pem\n*",
         ""},
        {{"dalang", "certs", "issue", "r", "--rsa", "-d", "rsa"}, 0, "rsa/certs/r.pem\nrsa/certs/r.key\n", ""},
        {{"dalang", "certs", "crl", "-d", "pki"}, 0, "pki/crl.pem\n", ""},
        {{OPENSSL, "verify", "-CAfile", "pki/ca.pem", "-CRLfile", "pki/crl.pem", "-crl_check", "pki/certs/agent-1.pem"},
         0,
         "pki/certs/agent-1.pem: OK\n",
         NULL},
        {{"dalang", "certs", "revoke", "agent-1", "-d", "pki"}, 0, "pki/crl.pem\n", ""},
        {{OPENSSL, "verify", "-CAfile", "pki/ca.pem", "-CRLfile", "pki/crl.pem", "-crl_check", "pki/certs/agent-1.pem"},
         2,
         NULL,
         "*certificate revoked*"},
        {{OPENSSL, "verify", "-CAfile", "pki/ca.pem", "-CRLfile", "pki/crl.pem", "-crl_check", "pki/certs/srv.pem"},
         0,
         NULL,
         NULL},
        {{OPENSSL, "x509", "-in", "pki/certs/srv.pem", "-noout", "-ext", "subjectAltName"},
         0,
         "*DNS:a.test*DNS:b.test*IP Address:127.0.0.9*",
         NULL},
        {{OPENSSL, "x509", "-in", "pki/certs/web.example.com.pem", "-noout", "-text"},
         0,
         "*CN = web.example.com*prime256v1*DNS:web.example.com*",
         NULL},
        {{OPENSSL, "x509", "-in", "rsa/certs/r.pem", "-noout", "-text"}, 0, "*rsaEncryption*", NULL},
        {{"dalang", "certs", "revoke", "nobody", "-d", "pki"}, 3, "", "dalang certs: *nobody*\n"},
        {{"dalang", "certs", "issue", "../up", "-d", "pki"}, 3, "", "dalang certs: *../up*\n"},
        {{"dalang", "certs", "issue", "", "-d", "pki"}, 3, "", "dalang certs: *\n"},
        {{"dalang", "certs", "issue", "-d", "pki"}, 2, "", "dalang certs: issue takes one NAME\n"},
        {{"dalang", "certs", "crl", "x", "-d", "pki"}, 2, "", "dalang certs: crl takes no further argument\n"},
        {{"dalang", "certs"}, 2, "", "dalang certs: name an action: init, issue NAME, revoke NAME or crl\n"},
        {{"dalang", "certs", "init", "-d", "/proc/nothing"}, 3, "", "dalang certs: */proc/nothing*\n"},
        {{"dalang", "certs", "init", "-d", "plain-file"}, 3, "", "dalang certs: *plain-file*\n"},
        {{"dalang", "certs", "init", "-d", "broken"}, 3, "", "dalang certs: *broken/ca.*\n"},
        {{"dalang", "certs", "issue", "x", "--lifetime", "soon", "-d", "pki"},
         2,
         "",
         "dalang certs: --lifetime takes a duration *\n"},
    };
    EXPECT(list);
    struct stat st;
    char *key = str_printf("%s/pki/ca.key", dir);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    mem_free(key);
}

static void bash_completes(void **state) {
    (void)state;
    struct program script = {.argv = {"dalang", "completion", "bash"}};
    char *text = output_of(&script, 0);
    write_file(dir, "completion.bash", text);
    mem_free(text);
    write_file(
        dir, "try.bash",
        "source ./completion.bash\n"
        "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _dalang; echo \"${COMPREPLY[*]}\"; }\n"
        "try puppet-job st\ntry puppet-job run --conc\ntry puppet-task run echo --par\ntry dalang si\n"
        "try dalang up --real\ntry puppet-query --cac\ntry dalang certs --client\n");
    static const struct use list[] = {
        {{"/bin/bash", "-n", "completion.bash"}, 0, "", ""},
        {{"/bin/bash", "try.bash"},
         0,
         "stop\n--concurrency\n--params\nsimulate\n--real-agents\n--cacert\n--client-only\n",
         ""},
    };
    EXPECT(list);
}

static void other_shells_complete(void **state) {
    (void)state;
    static const struct use list[] = {
        {{"dalang", "completion", "zsh"}, 0, "#compdef dalang *'puppet-job run') specs=(*--concurrency=*", ""},
        {{"dalang", "completion", "fish"},
         0,
         "*complete -c puppet-job -n '__fish_seen_subcommand_from run' -l concurrency -r -d '*",
         ""},
    };
    EXPECT(list);
    static const struct { const char *shell, *name; } shells[] = {{"/usr/bin/zsh", "zsh"}, {"/usr/bin/fish", "fish"}};
    for (size_t i = 0; i < 2; i++) {
        struct program script = {.argv = {"dalang", "completion", shells[i].name}};
        char *text = output_of(&script, 0);
        assert_int_equal(strchr(text, '\t') == NULL, true);
        write_file(dir, shells[i].name, text);
        mem_free(text);
        if (access(shells[i].shell, X_OK) == 0) { /* where the shell is there, it must like it too */
            struct program check = {.argv = {shells[i].shell, "-n", shells[i].name}, .dir = dir};
            expect_program(&check, 0, "", "");
        }
    }
}

static void manual_pages(void **state) {
    (void)state;
    char *pages = str_printf("%s/man", dir);
    assert_int_equal(mkdir(pages, 0755), 0);
    static const struct use list[] = {
        {{"dalang", "man", "--write", "man"}, 0, "", ""},
        {{"dalang", "man", "puppet-job-run"},
         0,
         ".TH \"puppet-job-run\" 1 *\n.SH NAME\n*.SH SYNOPSIS\n*.SH OPTIONS\n*\\fB\\-\\-concurrency\\fR*",
         ""},
        {{"dalang", "man", "dalang up"}, 0, ".TH \"dalang-up\" 1 *", ""},
        {{"dalang", "man", "--write", "gone"}, 3, "", "dalang man: gone/*: No such file or directory\n"},
    };
    EXPECT(list);
    static const char *const names[] = {"dalang-up",           "dalang-certs",    "dalang-simulate",  "puppet-job-run",
                                        "puppet-job-plan",     "puppet-job-show", "puppet-job-stop",  "puppet-task-run",
                                        "puppet-task-show",    "puppet-plan-run", "puppet-plan-show", "puppet-app-show",
                                        "puppet-access-login", "puppet-query"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *name = str_printf("man/%s.1", names[i]);
        char *text = read_file(dir, name);
        char *wanted =
            str_printf(".TH \"%s\" 1 *.SH NAME\n*\\- *.SH SYNOPSIS\n.B *.SH OPTIONS\n*\\-\\-help*", names[i]);
        assert_true(glob_match(wanted, text));
        mem_free(wanted);
        mem_free(text);
        if (access("/usr/bin/groff", X_OK) == 0) {
            struct program groff = {.argv = {"/usr/bin/groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z", name},
                                    .dir = dir};
            expect_program(&groff, 0, "", "");
        }
        mem_free(name);
    }
    mem_free(pages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates),
        cmocka_unit_test(bash_completes),
        cmocka_unit_test(other_shells_complete),
        cmocka_unit_test(manual_pages),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
