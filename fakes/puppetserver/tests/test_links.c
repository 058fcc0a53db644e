/* Metadata of files, and symbolic links among them (puppetserver.md §10). */
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ENV "?environment=production"
#define MODULE ENVIRONMENTS "production/modules/m"
#define METADATA "/puppet/v3/file_metadata/modules/m/"
#define SEARCH "/puppet/v3/file_metadatas/"

/* SHA-256 of "content". */
#define CONTENT "{sha256}ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"

static void link_to(struct code_bench *b, const char *path, const char *target) {
    assert_true(world_file_symlink(b->rig.server, target, path, NULL));
}

static int set_up(void **state) {
    struct code_bench *b = mem_zalloc(sizeof *b);
    code_open(b, NULL);
    code_file(b, "production/modules/m/files/real", "content");
    code_file(b, "production/modules/m/files/d/in", "content");
    code_file(b, "production/modules/m/lib/a.rb", "content");
    code_file(b, "production/modules/other/files/o", "content");
    assert_true(world_file_mkdir(b->rig.server, "/home/me/linked/files", 0755, true, NULL));
    assert_true(
        world_file_write(b->rig.server, "/home/me/linked/files/f", SPAN("content"), 0600, WORLD_WRITE_PLAIN, NULL));
    assert_true(world_file_write(b->rig.server, "/home/me/secret", SPAN("secret"), 0600, WORLD_WRITE_PLAIN, NULL));
    link_to(b, ENVIRONMENTS "production/modules/linked", "/home/me/linked");
    link_to(b, MODULE "/files/to_real", "real");
    link_to(b, MODULE "/files/to_d", "d");
    link_to(b, MODULE "/files/to_lib", "../lib/a.rb");
    link_to(b, MODULE "/files/to_other", MODULE "/../other/files/o");
    link_to(b, MODULE "/files/to_linked", "../../linked/files/f");
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    code_close(*state);
    mem_free(*state);
    return 0;
}

static void expect_metadata(struct code_bench *b, const char *query, const char *type, const char *checksum,
                            const char *destination) {
    char *path = str_printf(METADATA "%s", query);
    json_t *o = code_get(b, path, 200);
    const char *got = json_str(json_object_get(o, "checksum"), "value"), *to = json_str(o, "destination");
    if (strcmp(json_str(o, "type"), type) != 0 || !str_eq(to, destination) ||
        (checksum == NULL ? got != NULL : got == NULL || strncmp(got, checksum, strlen(checksum)) != 0)) {
        char *text = json_text(o);
        fail_msg("%s: %s", query, text);
    }
    json_decref(o);
    mem_free(path);
}

/* As Puppet Server 7.9.5 was seen to: the link itself with where it leads and the digest of that, unless told to
 * follow. */
static void links_are_told_of_or_followed(void **state) {
    struct code_bench *b = *state;
    static const struct {
        const char *query, *type, *checksum, *destination;
    } cases[] = {
        {"real" ENV, "file", CONTENT, NULL},
        {"to_real" ENV, "link", CONTENT, "real"},
        {"to_real" ENV "&links=manage", "link", CONTENT, "real"},
        {"to_real" ENV "&links=ignore", "link", CONTENT, "real"},
        {"to_real" ENV "&links=follow", "file", CONTENT, NULL},
        {"to_d" ENV, "link", NULL, "d"},
        {"to_d" ENV "&links=follow", "directory", "{ctime}", NULL},
        {"to_d/in" ENV, "file", CONTENT, NULL},
        {"to_lib" ENV "&links=follow", "file", CONTENT, NULL},
        {"to_other" ENV "&links=follow", "file", CONTENT, NULL},
        {"to_linked" ENV, "link", CONTENT, "../../linked/files/f"},
        {"to_linked" ENV "&links=follow", "file", CONTENT, NULL},
        {"../linked/f" ENV, NULL, NULL, NULL},
    };
    for (size_t i = 0; cases[i].type != NULL; i++) {
        expect_metadata(b, cases[i].query, cases[i].type, cases[i].checksum, cases[i].destination);
    }
    json_decref(code_get(b, "/puppet/v3/file_metadata/modules/linked/f" ENV "&links=follow", 200));
    mem_free(code_text(b, METADATA "../linked/f" ENV, 400));
}

static void links_that_lead_nowhere_are_not_there(void **state) {
    struct code_bench *b = *state;
    link_to(b, MODULE "/files/lost", "gone");
    link_to(b, MODULE "/files/round", "round");
    static const char *const paths[] = {METADATA "lost" ENV, METADATA "lost" ENV "&links=follow", METADATA "round" ENV,
                                        ("/puppet/v3/file_content/modules/m/lost" ENV)};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        json_decref(code_get(b, paths[i], 404));
    }
    json_t *all = code_get(b, SEARCH "modules/m" ENV "&recurse=true", 200); /* but in a list they are */
    assert_int_equal(json_array_size(all), 11);
    json_decref(all);
    assert_json(code_get(b, SEARCH "modules/m" ENV "&recurse=true&links=follow", 500),
                quoted("{'message': 'Server Error: No such file or directory - " MODULE
                       "/files/lost', 'issue_kind': 'RUNTIME_ERROR'}"));
    assert_true(world_file_remove(b->rig.server, MODULE "/files/lost", false, NULL));
    assert_json(code_get(b, SEARCH "modules/m" ENV "&recurse=true&links=follow", 500),
                quoted("{'message': 'Server Error: Too many levels of symbolic links - " MODULE
                       "/files/round', 'issue_kind': 'RUNTIME_ERROR'}"));
}

static void tasks_do_not_reach_out_of_the_code(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/modules/m/tasks/good.sh", "x");
    code_file(b, "production/modules/m/tasks/bad.sh", "x");
    code_file(b, "production/modules/m/tasks/bad.json", "{\"files\": [\"m/files/out\"]}");
    code_file(b, "production/modules/m/tasks/all.sh", "x");
    code_file(b, "production/modules/m/tasks/all.json", "{\"files\": [\"m/files/\"]}");
    link_to(b, MODULE "/tasks/linked.sh", "../../other/files/o");
    link_to(b, MODULE "/tasks/out.sh", "/home/me/secret");
    link_to(b, MODULE "/files/out", "/home/me/secret");
    code_file(b, "production/modules/m/plans/good.pp", "x");
    link_to(b, MODULE "/plans/out.pp", "/home/me/secret");
    json_t *list = code_get(b, "/puppet/v3/tasks" ENV, 200), *plans = code_get(b, "/puppet/v3/plans" ENV, 200);
    assert_int_equal(json_array_size(list), 3); /* all, good, linked */
    assert_int_equal(json_array_size(plans), 1);
    json_decref(list);
    json_decref(plans);
    mem_free(code_text(b, "/puppet/v3/tasks/m/out" ENV, 404));
    mem_free(code_text(b, "/puppet/v3/plans/m/out" ENV, 404));
    json_t *bad = code_get(b, "/puppet/v3/tasks/m/bad" ENV, 500), *all = code_get(b, "/puppet/v3/tasks/m/all" ENV, 200);
    assert_string_equal(json_str(bad, "kind"), "puppet.tasks/invalid-file");
    assert_int_equal(json_array_size(json_object_get(all, "files")), 7); /* all but "out" and the linked directory */
    json_decref(bad);
    json_decref(all);
}

/* Nothing outside of the code is ever read for somebody else, whatever links lead there. */
static void links_do_not_lead_out_of_the_code(void **state) {
    struct code_bench *b = *state;
    link_to(b, MODULE "/files/out", "/home/me/secret");
    link_to(b, MODULE "/files/home", "/home/me");
    link_to(b, MODULE "/files/twice", "out");
    link_to(b, MODULE "/files/up", "../../../../../../home/me/secret");
    link_to(b, MODULE "/scripts", "/home/me");
    link_to(b, MODULE "/tasks", "/home/me");
    link_to(b, ENVIRONMENTS "production/modules/other/lib", "/home/me");
    static const char *const absent[] = {
        "file_content/modules/m/out",     "file_content/modules/m/home/secret",   "file_content/modules/m/twice",
        "file_content/modules/m/up",      "file_content/modules/m/home",          "file_content/scripts/m/secret",
        "file_content/tasks/m/secret",    "file_content/plugins/secret",          "file_metadata/modules/m/home/secret",
        "file_metadata/scripts/m/secret", "file_metadatas/modules/m/home/secret", "file_metadatas/scripts/m/secret",
    };
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        char *path = str_printf("/puppet/v3/%s" ENV, absent[i]);
        char *text = code_text(b, path, 404);
        assert_null(strstr(text, "secret:")); /* the names we asked for may be in it, the content not */
        mem_free(text);
        mem_free(path);
    }
    static const char *const links[] = {"out", "home", "twice", "up"};
    for (size_t i = 0; i < 4; i++) { /* where they lead is told, but nothing of what is there */
        char *manage = str_printf(METADATA "%s" ENV, links[i]), *follow = str_printf("%s&links=follow", manage);
        json_t *o = code_get(b, manage, 200);
        assert_string_equal(json_str(o, "type"), "link");
        assert_true(json_is_null(json_object_get(json_object_get(o, "checksum"), "value")));
        json_decref(o);
        json_decref(code_get(b, follow, 404));
        mem_free(manage);
        mem_free(follow);
    }
    assert_json(code_get(b, "/puppet/v3/tasks" ENV, 200), quoted("[]"));
    json_t *plugins = code_get(b, SEARCH "plugins" ENV "&recurse=true&links=follow", 200);
    assert_int_equal(json_array_size(plugins), 2); /* "." and a.rb of m */
    json_decref(plugins);
    json_decref(code_get(b, SEARCH "modules/m" ENV "&recurse=true&links=follow", 500));
}

static void static_content_does_not_leave_the_code(void **state) {
    struct code_bench *b = *state;
    link_to(b, MODULE "/files/out", "/home/me/secret");
    json_decref(rig_json(&b->rig,
                         &(struct ask){.method = "PATCH",
                                       .path = "/_fake/state",
                                       .body = "{\"puppetserver\":{\"static\":{\"production\":\"one\"}}}"},
                         204));
    mem_free(code_text(b, "/puppet/v3/static_file_content/modules/m/files/to_linked" ENV "&code_id=one", 200));
    char *text = code_text(b, "/puppet/v3/static_file_content/modules/m/files/out" ENV "&code_id=one", 500);
    assert_non_null(strstr(text, "No such file"));
    mem_free(text);
}

static const char *search(struct code_bench *b, const char *query, char out[200]) {
    json_t *all = code_get(b, query, 200), *o;
    size_t i;
    *out = '\0';
    json_array_foreach(all, i, o) {
        size_t len = strlen(out);
        snprintf(out + len, 200 - len, "%s%s%s", i > 0 ? " " : "", json_str(o, "relative_path"),
                 strcmp(json_str(o, "type"), "link") == 0        ? "@"
                 : strcmp(json_str(o, "type"), "directory") == 0 ? "/"
                                                                 : "");
    }
    json_decref(all);
    return out;
}

static void searches_descend_as_asked(void **state) {
    struct code_bench *b = *state;
    char got[200];
    code_file(b, "production/modules/m/files/t/a", "a");
    code_file(b, "production/modules/m/files/t/s/b", "b");
    code_file(b, "production/modules/m/files/t/s/u/c", "c");
    link_to(b, MODULE "/files/t/l", "../d");
    link_to(b, MODULE "/files/t_link", "t");
    static const struct {
        const char *query, *found;
    } cases[] = {
        {"modules/m/t" ENV, "./"},
        {"modules/m/t" ENV "&recurse=false", "./"},
        {"modules/m/t" ENV "&recurse=true", "./ a l@ s/ s/b s/u/ s/u/c"},
        {"modules/m/t" ENV "&recurse=yes", "./ a l@ s/ s/b s/u/ s/u/c"},
        {"modules/m/t" ENV "&recurse=true&links=follow", "./ a l/ l/in s/ s/b s/u/ s/u/c"},
        {"modules/m/t" ENV "&recurse=true&recurselimit=1", "./ a l@ s/"},
        {"modules/m/t" ENV "&recurse=true&recurselimit=0", "./"},
        {"modules/m/t" ENV "&recurse=true&ignore=s", "./ a l@"},
        {"modules/m/t" ENV "&recurse=true&ignore=a*&ignore=u&ignore=l", "./ s/ s/b"},
        {"modules/m/t" ENV "&recurse=true&max_files=6", "./ a l@ s/ s/b s/u/ s/u/c"},
        {"modules/m/t" ENV "&recurse=true&max_files=-1", "./ a l@ s/ s/b s/u/ s/u/c"},
        {"modules/m/t_link" ENV "&recurse=true", ".@"},
        {"modules/m/t_link" ENV "&recurse=true&links=follow", "./ a l/ l/in s/ s/b s/u/ s/u/c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = str_printf(SEARCH "%s", cases[i].query);
        assert_string_equal(search(b, path, got), cases[i].found);
        mem_free(path);
    }
    link_to(b, MODULE "/files/t/again", "."); /* without end */
    json_decref(code_get(b, SEARCH "modules/m/t" ENV "&recurse=true&links=follow", 500));
}

static void plugins_are_one_tree(void **state) {
    struct code_bench *b = *state;
    char got[200];
    code_file(b, "production/modules/other/lib/a.rb", "another");
    code_file(b, "production/modules/other/lib/b.rb", "b");
    assert_string_equal(search(b, SEARCH "plugins" ENV "&recurse=true", got), "./ a.rb b.rb");
    assert_string_equal(search(b, SEARCH "plugins/a.rb" ENV "&recurse=true", got), "./ a.rb b.rb");
    json_t *all = code_get(b, SEARCH "plugins" ENV "&recurse=true", 200);
    assert_string_equal(json_str(json_array_get(all, 1), "path"), MODULE "/lib"); /* the first of a name wins */
    json_decref(all);
    all = code_get(b, SEARCH "pluginfacts" ENV "&recurse=true", 200); /* no module has any */
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_str(json_array_get(all, 0), "path"), ENVIRONMENTS "production/modules");
    json_decref(all);
}

static void metadata_has_the_asked_checksum(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/modules/m/files/f", "abc");
    static const struct {
        const char *type, *value;
    } cases[] = {
        {"md5", "{md5}900150983cd24fb0d6963f7d28e17f72"},
        {"md5lite", "{md5lite}900150983cd24fb0d6963f7d28e17f72"},
        {"sha1", "{sha1}a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"none", "{none}"},
        {"mtime", "{mtime}20"},
        {"ctime", "{ctime}20"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *query = str_printf("f" ENV "&checksum_type=%s", cases[i].type);
        expect_metadata(b, query, "file", cases[i].value, NULL);
        mem_free(query);
    }
    char *big = mem_zalloc(2000);
    memset(big, 'x', 1999);
    code_file(b, "production/modules/m/files/f", big);
    json_t *lite = code_get(b, METADATA "f" ENV "&checksum_type=md5lite", 200);
    big[1998] = 'y'; /* behind what a "lite" digest reads */
    code_file(b, "production/modules/m/files/f", big);
    expect_metadata(b, "f" ENV "&checksum_type=md5lite", "file", json_str(json_object_get(lite, "checksum"), "value"),
                    NULL);
    json_decref(lite);
    mem_free(big);
}

static void modes_are_those_of_the_files_when_asked_for(void **state) {
    struct code_bench *b = *state;
    assert_true(world_file_chmod(b->rig.server, MODULE "/files/real", 0640, NULL));
    static const struct {
        const char *permissions;
        int mode;
    } cases[] = {{"ignore", 0644}, {"use", 0640}, {"use_when_creating", 0640}};
    for (size_t i = 0; i < 3; i++) {
        char *path = str_printf(METADATA "real" ENV "&source_permissions=%s", cases[i].permissions);
        json_t *o = code_get(b, path, 200);
        assert_int_equal(json_int(o, "mode", 0), cases[i].mode);
        json_decref(o);
        mem_free(path);
    }
}

static void odd_wishes_are_refused(void **state) {
    struct code_bench *b = *state;
    static const struct {
        const char *path;
        int status;
        const char *message;
    } cases[] = {
        {METADATA "real" ENV "&links=often", 500, "Server Error: :links can only be set to :manage or :follow"},
        {METADATA "real" ENV "&checksum_type=crc", 500, "Server Error: Unsupported checksum type crc"},
        {METADATA "real" ENV "&source_permissions=all", 500, "Server Error: Unsupported source_permission all"},
        {METADATA "gone" ENV "&links=often", 404, "Not Found: Could not find file_metadata modules/m/gone"},
        {METADATA "real", 400, "Bad Request: An environment parameter must be specified"},
        {SEARCH "modules/m/gone" ENV, 404,
         "Not Found: Could not find instances in file_metadata with 'modules/m/gone'"},
        {SEARCH "modules/m/d" ENV "&links=ignore", 500, "Server Error: Invalid :links value 'ignore'"},
        {SEARCH "modules/m/d" ENV "&checksum_type=crc", 500, "Server Error: Unsupported checksum type crc"},
        {SEARCH "modules/m/d" ENV "&recurse=2", 500,
         "Server Error: Fileset recurse parameter must not be a number anymore, please use recurselimit"},
        {SEARCH "modules/m/d" ENV "&recurse=true&recurselimit=infinite", 500,
         "Server Error: comparison of Integer with String failed"},
        {SEARCH "modules/m/d" ENV "&max_files=many", 500, "Server Error: comparison of String with 0 failed"},
        {SEARCH "modules/m" ENV "&recurse=true&max_files=7", 500,
         "Server Error: The directory '" MODULE "/files' contains 8 entries, which exceeds the limit of 7 specified by "
         "the max_files parameter for this resource. The limit may be increased, but be aware that large number of "
         "file "
         "resources can result in excessive resource consumption and degraded performance. Consider using an alternate "
         "method to manage large directory trees"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *o = code_get(b, cases[i].path, cases[i].status);
        assert_string_equal(json_str(o, "message"), cases[i].message);
        json_decref(o);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(links_are_told_of_or_followed),
        T(links_that_lead_nowhere_are_not_there),
        T(links_do_not_lead_out_of_the_code),
        T(tasks_do_not_reach_out_of_the_code),
        T(static_content_does_not_leave_the_code),
        T(searches_descend_as_asked),
        T(plugins_are_one_tree),
        T(metadata_has_the_asked_checksum),
        T(modes_are_those_of_the_files_when_asked_for),
        T(odd_wishes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
