#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/identity/identity.h"
#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static char *root;
static struct error err;
static struct local_users users;
static const struct users_directory *directory;
static struct identity_options options;
static const enum identity_source all[] = {IDENTITY_MDM, IDENTITY_DIRECTORY, IDENTITY_COMMAND};

static void set_up(void)
{
    root = temp_dir_make();
    users = (struct local_users){0};
    directory = NULL;
    options = (struct identity_options){.root = root, .sources = all, .source_count = 3};
}

static void tear_down(void)
{
    local_users_clear(&users);
    temp_dir_remove(root);
}

static void put_file(const char *path, struct bytes content)
{
    char *whole = xasprintf("%s/%s", root, path);
    char *folder = xstrdup(whole);
    *strrchr(folder, '/') = '\0';
    expect_ok(fs_make_dirs(&fs_real, folder, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, whole, content, 0755, &err));
    free(folder);
    free(whole);
}

static void put_recorded(const char *name, const char *path)
{
    char *from = xasprintf("%s/identity/%s", TEST_DATA_DIR, name);
    struct buffer content = {.max_bytes = MIB};
    expect_ok(fs_read_file(&fs_real, from, &content, &err));
    put_file(path, buffer_bytes(&content));
    buffer_clear(&content);
    free(from);
}

static const char people[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                             "alice:x:1001:1001:Alice Example,,,:/home/alice:/bin/bash\n"
                             "svc:x:1002:1002::/srv/svc:/usr/sbin/nologin\n"
                             "bob:x:1003:1003:Bob:/home/bob:/bin/zsh\n"
                             "nobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n";

static void read_people(const char *passwd)
{
    put_file("etc/passwd", bytes_of(passwd));
    expect_ok(local_users_read(root, &fs_real, directory, &users, &err));
}

static void resolve_alice(void)
{
    read_people("alice:x:1001:1001:Alice:/home/alice:/bin/bash\n");
    identity_resolve(&options, &fs_real, &users);
}

static void expect_email(const char *email, enum identity_source source)
{
    const struct local_user *user = &users.list[0];
    ck_assert_msg(user->email != NULL, "%s", user->problem ? user->problem : "no problem either");
    ck_assert_str_eq(user->email, email);
    ck_assert_str_eq(identity_source_name(user->source), identity_source_name(source));
    ck_assert_ptr_null(user->problem);
}

static void expect_problem(const char *words)
{
    const struct local_user *user = &users.list[0];
    ck_assert_ptr_null(user->email);
    ck_assert_int_eq(user->source, IDENTITY_NONE);
    ck_assert_msg(user->problem && strstr(user->problem, words), "%s", user->problem);
}

START_TEST(people_are_listed_and_system_accounts_are_not)
{
    read_people(people);
    ck_assert_uint_eq(users.count, 2);
    ck_assert_str_eq(users.list[0].name, "alice");
    ck_assert_uint_eq(users.list[0].uid, 1001);
    ck_assert_str_eq(users.list[0].home, "/home/alice");
    ck_assert_str_eq(users.list[1].name, "bob");
    ck_assert_uint_eq(users.list[1].gid, 1003);
}
END_TEST

START_TEST(root_counts_where_there_is_nobody_else)
{
    read_people("root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n");
    ck_assert_uint_eq(users.count, 1);
    ck_assert_str_eq(users.list[0].name, "root");
}
END_TEST

START_TEST(the_first_uid_of_people_is_the_systems_own)
{
    put_file("etc/login.defs", bytes_of("# comment\nUID_MIN\t\t  500 # old\n"));
    read_people("alice:x:501:20::/home/alice:/bin/bash\nx:x:499:20::/home/x:/bin/bash\n");
    ck_assert_uint_eq(users.count, 1);
    ck_assert_str_eq(users.list[0].name, "alice");
}
END_TEST

START_TEST(odd_lines_are_passed_over)
{
    read_people("\n#c:x:1:1::/h:/bin/sh\nshort:x:1001\n+::::::\nx:x:abc:1::/home/x:/bin/sh\n"
                "y:x:-1:1::/home/y:/bin/sh\nz:x:1001:1::relative:/bin/sh\n"
                "alice:x:1001:1001::/home/alice:/bin/bash:extra\n"
                "bob:x:1002:1002::/home/bob:\r\nbob:x:1009:1::/home/other:/bin/sh");
    ck_assert_uint_eq(users.count, 1);
    ck_assert_str_eq(users.list[0].home, "/home/bob");
}
END_TEST

START_TEST(a_machine_without_a_passwd_file_says_so)
{
    expect_fail(local_users_read(root, &fs_real, directory, &users, &err), FAIL_NOT_FOUND);
    ck_assert_uint_eq(users.count, 0);
}
END_TEST

static const struct {
    const char *answer, *domain, *email, *words;
} answers[] = {
    {"alice@example.com", NULL, "alice@example.com", NULL},
    {"  Alice.B+c@Example.COM\n", "example.com", "alice.b+c@example.com", NULL},
    {"alice@example.com", "EXAMPLE.com", "alice@example.com", NULL},
    {"alice@evil.com", "example.com", NULL, "not of the domain 'example.com'"},
    {"alice@sub.example.com", "example.com", NULL, "not of the domain"},
    {"alice@example.com.evil.org", "example.com", NULL, "not of the domain"},
    {"$EMAIL", NULL, NULL, "the MDM did not fill in"},
    {"$EMAIL@example.com", NULL, NULL, "the MDM did not fill in"},
    {"{{mail}}", NULL, NULL, "the MDM did not fill in"},
    {"{{userprincipalname}}", NULL, NULL, "the MDM did not fill in"},
    {"%Email%", NULL, NULL, "the MDM did not fill in"},
    {"(null)", NULL, NULL, "the MDM did not fill in"},
    {"", NULL, NULL, "no value"},
    {" \t", NULL, NULL, "no value"},
    {"alice", NULL, NULL, "not an e-mail address"},
    {"alice@", NULL, NULL, "not an e-mail address"},
    {"@example.com", NULL, NULL, "not an e-mail address"},
    {"a@b@example.com", NULL, NULL, "not an e-mail address"},
    {"alice@localhost", NULL, NULL, "not an e-mail address"},
    {"alice@example..com", NULL, NULL, "not an e-mail address"},
    {"alice@.com", NULL, NULL, "not an e-mail address"},
    {"alice@example.com.", NULL, NULL, "not an e-mail address"},
    {"al ice@example.com", NULL, NULL, "not an e-mail address"},
    {"a,b@example.com", NULL, NULL, "not an e-mail address"},
    {"alice@exa_mple.com", NULL, NULL, "not an e-mail address"},
};

START_TEST(an_answer_is_judged_by_one_rule)
{
    char email[IDENTITY_EMAIL_BYTES];
    bool ok = identity_accept_email(answers[_i].answer, answers[_i].domain, email, &err);
    ck_assert_msg(ok == (answers[_i].email != NULL), "'%s'", answers[_i].answer);
    if (ok)
        ck_assert_str_eq(email, answers[_i].email);
    else
        ck_assert_msg(strstr(err.cause, answers[_i].words), "%s", err.cause);
}
END_TEST

START_TEST(an_overlong_answer_is_refused)
{
    char answer[400], email[IDENTITY_EMAIL_BYTES];
    memset(answer, 'a', sizeof answer);
    memcpy(answer + 380, "@example.com", 13);
    ck_assert(!identity_accept_email(answer, NULL, email, &err));
}
END_TEST

/* What each source's own file looks like, and where it lies. */
static const struct {
    const char *recorded, *path, *email;
    enum identity_source source;
} places[] = {
    {"managed-preferences.xml.plist",
     "Library/Managed Preferences/alice/com.claude-telemetry.agent.plist", "alice@example.com",
     IDENTITY_MDM},
    {"managed-preferences.binary.plist",
     "Library/Managed Preferences/com.claude-telemetry.agent.plist", "alice@example.com",
     IDENTITY_MDM},
    {"kandji.plist", "Library/Managed Preferences/io.kandji.globalvariables.plist",
     "bob@example.com", IDENTITY_MDM},
    {"jamf-connect-state.plist", "home/alice/Library/Preferences/com.jamf.connect.state.plist",
     "carol@example.com", IDENTITY_MDM},
    {"company-portal.info",
     "home/alice/Library/Application Support/com.microsoft.CompanyPortalMac.usercontext.info",
     "dave@example.com", IDENTITY_MDM},
    {"accounts-service", "var/lib/AccountsService/users/alice", "alice@example.com",
     IDENTITY_DIRECTORY},
    {"himmelblau-user-map", "etc/himmelblau/user-map", "alice@example.com", IDENTITY_DIRECTORY},
    {"himmelblau-user-map", "etc/claude-telemetry/user-emails", "alice@example.com", IDENTITY_MDM},
    {"dslocal-sso.plist", "var/db/dslocal/nodes/Default/users/alice.plist", "erin@example.com",
     IDENTITY_DIRECTORY},
    {"dslocal-mail.plist", "var/db/dslocal/nodes/Default/users/alice.plist", "frank@example.com",
     IDENTITY_DIRECTORY},
};

START_TEST(each_source_is_read_in_its_own_format)
{
    put_recorded(places[_i].recorded, places[_i].path);
    resolve_alice();
    expect_email(places[_i].email, places[_i].source);
    ck_assert_ptr_nonnull(strstr(places[_i].path, strrchr(users.list[0].detail, '/') + 1));
}
END_TEST

START_TEST(the_configured_address_is_asked_first)
{
    put_recorded("accounts-service", "var/lib/AccountsService/users/alice");
    options.email = "Boss@Example.com";
    resolve_alice();
    expect_email("boss@example.com", IDENTITY_CONFIG);
}
END_TEST

START_TEST(sources_are_asked_in_the_order_given)
{
    static const enum identity_source directory_first[] = {IDENTITY_DIRECTORY, IDENTITY_MDM};
    put_recorded("accounts-service", "var/lib/AccountsService/users/alice");
    put_recorded("kandji.plist", "Library/Managed Preferences/io.kandji.globalvariables.plist");
    resolve_alice();
    expect_email("bob@example.com", IDENTITY_MDM);
    options.sources = directory_first;
    options.source_count = 2;
    identity_resolve(&options, &fs_real, &users);
    expect_email("alice@example.com", IDENTITY_DIRECTORY);
    options.source_count = 0;
    identity_resolve(&options, &fs_real, &users);
    expect_problem("no source knows");
}
END_TEST

START_TEST(a_variable_that_was_not_filled_in_lets_the_next_source_answer)
{
    put_recorded("unresolved.plist",
                 "Library/Managed Preferences/com.claude-telemetry.agent.plist");
    resolve_alice();
    expect_problem("'$email' is a variable that the MDM did not fill in");
    local_users_clear(&users);
    put_recorded("accounts-service", "var/lib/AccountsService/users/alice");
    resolve_alice();
    expect_email("alice@example.com", IDENTITY_DIRECTORY);
}
END_TEST

START_TEST(another_domain_is_refused_and_reported)
{
    put_recorded("accounts-service", "var/lib/AccountsService/users/alice");
    options.email_domain = "corp.example";
    resolve_alice();
    expect_problem("'alice@example.com' is not of the domain 'corp.example'");
}
END_TEST

START_TEST(a_comment_field_or_a_sign_in_name_may_hold_the_address)
{
    read_people("alice:x:1001:1001:Alice Example,Room 1,,,alice@example.com:/home/alice:/bin/sh\n"
                "bob@example.com:x:1002:1002::/home/bob:/bin/sh\n"
                "carol:x:1003:1003:Carol,,,:/home/carol:/bin/sh\n");
    identity_resolve(&options, &fs_real, &users);
    ck_assert_str_eq(users.list[0].email, "alice@example.com");
    ck_assert_str_eq(users.list[1].email, "bob@example.com");
    ck_assert_ptr_null(users.list[2].email);
    ck_assert_ptr_nonnull(users.list[2].problem);
}
END_TEST

START_TEST(a_users_name_does_not_lead_to_another_file)
{
    put_recorded("accounts-service", "var/lib/AccountsService/secret");
    read_people("../secret:x:1001:1001::/home/alice:/bin/sh\n");
    identity_resolve(&options, &fs_real, &users);
    ck_assert_ptr_null(users.list[0].email);
}
END_TEST

static void run_script(const char *script, uint32_t timeout_ms)
{
    char *path = xasprintf("%s/whoami-email", root);
    put_file("whoami-email", bytes_of(script));
    if (geteuid() == 0)
        ck_assert_int_eq(chmod(root, 0755), 0); /* the user has to reach it */
    options.command = path;
    options.command_timeout_ms = timeout_ms;
    resolve_alice();
    options.command = NULL;
    free(path);
}

START_TEST(the_command_answers_as_the_user)
{
    run_script("#!/bin/sh\nread line && exit 1\n"
               "[ \"$1\" = alice ] && [ \"$USER\" = alice ] && [ -z \"$SECRET\" ] || exit 1\n"
               "echo \"u$(id -u)@example.com\"\necho more\n",
               5000);
    char expected[64];
    snprintf(expected, sizeof expected, "u%u@example.com",
             geteuid() == 0 ? 1001U : (unsigned)geteuid());
    expect_email(expected, IDENTITY_COMMAND);
}
END_TEST

START_TEST(a_command_that_hangs_is_ended_with_what_it_started)
{
    run_script("#!/bin/sh\nsleep 1000 & sleep 1000\n", 100);
    expect_problem("did not answer within 100 ms");
}
END_TEST

START_TEST(a_command_that_fails_prints_nothing_useful_or_too_much_is_reported)
{
    run_script("#!/bin/sh\necho alice@example.com\nexit 3\n", 5000);
    expect_problem("ended with status 3");
    local_users_clear(&users);
    run_script("#!/bin/sh\nexec head -c 100000 /dev/zero\n", 5000);
    expect_problem("printed more than 4096 bytes");
    local_users_clear(&users);
    run_script("#!/bin/nothing\n", 5000);
    expect_problem("cannot be run as 'alice'");
}
END_TEST

static const struct local_user *find_user(const char *name)
{
    for (size_t i = 0; i < users.count; i++)
        if (strcmp(users.list[i].name, name) == 0)
            return &users.list[i];
    ck_abort_msg("no user '%s'", name);
    return NULL;
}

/* What `getent passwd UID` answers where SSSD and winbind ask Active Directory. */
static bool recorded_of_uid(void *context, uint32_t uid, struct platform_account *out,
                            struct error *e)
{
    struct bytes *getent = context;
    char name[64], home[128], shell[64], gecos[64];
    unsigned found, gid;
    for (const char *at = (const char *)getent->data; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (sscanf(at, "%63[^:]:%*[^:]:%u:%u:%63[^:]:%127[^:]:%63[^\n]", name, &found, &gid, gecos,
                   home, shell) != 6 ||
            found != uid)
            continue;
        *out = (struct platform_account){.uid = found, .gid = gid};
        snprintf(out->name, sizeof out->name, "%s", name);
        snprintf(out->gecos, sizeof out->gecos, "%s", gecos);
        snprintf(out->home, sizeof out->home, "%s", home);
        snprintf(out->shell, sizeof out->shell, "%s", shell);
        return true;
    }
    return error_set(e, FAIL_NOT_FOUND, "nobody");
}

static void make_home_of(const char *path, uint32_t uid)
{
    char *home = xasprintf("%s/%s", root, path);
    expect_ok(fs_make_dirs(&fs_real, home, 0755, &err));
    ck_assert_int_eq(chown(home, uid, uid), 0);
    free(home);
}

START_TEST(people_of_a_directory_are_found_by_their_homes_and_sessions)
{
    if (geteuid() != 0)
        return; /* nobody else's home can be made */
    struct buffer text = {.max_bytes = MIB};
    char *from = xasprintf("%s/identity/getent-passwd", TEST_DATA_DIR);
    expect_ok(fs_read_file(&fs_real, from, &text, &err) && buffer_text(&text) != NULL);
    struct bytes getent = buffer_bytes(&text);
    const struct users_directory recorded = {.context = &getent, .of_uid = recorded_of_uid};
    directory = &recorded;
    make_home_of("home/alice", 1001);                        /* of the passwd file */
    make_home_of("home/carol@corp.example.com", 1876001104); /* SSSD */
    make_home_of("home/CORP/dave", 2000012);                 /* winbind, below its domain */
    make_home_of("home/svc", 1876001200);                    /* may not log in */
    make_home_of("home/old", 1876009999);                    /* no longer known */
    make_home_of("run/user/1876001105", 1876001105);         /* a session without a home here */
    make_home_of("run/user/0", 0);
    read_people(people);
    ck_assert_uint_eq(users.count, 5);
    ck_assert_str_eq(find_user("carol@corp.example.com")->home, "/home/carol@corp.example.com");
    ck_assert_uint_eq(find_user("carol@corp.example.com")->gid, 1876000513);
    ck_assert_str_eq(find_user("CORP\\dave")->home, "/home/CORP/dave");
    ck_assert_str_eq(find_user("erin@corp.example.com")->home, "/nfs/home/erin");
    identity_resolve(&options, &fs_real, &users);
    ck_assert_str_eq(find_user("carol@corp.example.com")->email, "carol@corp.example.com");
    ck_assert_ptr_null(find_user("CORP\\dave")->email); /* not guessed */
    buffer_clear(&text);
    free(from);
}
END_TEST

START_TEST(a_macs_own_records_are_people)
{
    put_recorded("dslocal-alice.plist", "var/db/dslocal/nodes/Default/users/alice.plist");
    put_recorded("dslocal-daemon.plist", "var/db/dslocal/nodes/Default/users/_daemon.plist");
    put_file("var/db/dslocal/nodes/Default/users/torn.plist", bytes_of("bplist00"));
    read_people("root:*:0:0:System Administrator:/var/root:/bin/sh\n"
                "_www:*:70:70:World Wide Web Server:/Library/WebServer:/usr/bin/false\n");
    ck_assert_uint_eq(users.count, 1);
    ck_assert_str_eq(users.list[0].name, "alice");
    ck_assert_uint_eq(users.list[0].uid, 501);
    ck_assert_uint_eq(users.list[0].gid, 20);
    ck_assert_str_eq(users.list[0].home, "/Users/alice");
    ck_assert_str_eq(users.list[0].gecos, "Alice Example");
    identity_resolve(&options, &fs_real, &users);
    expect_email("alice@example.com", IDENTITY_DIRECTORY);
}
END_TEST

/* As regedit exports them. */
static void put_registry(const char *name)
{
    char *from = xasprintf("%s/registry/%s", TEST_DATA_DIR, name);
    struct buffer content = {.max_bytes = MIB};
    expect_ok(fs_read_file(&fs_real, from, &content, &err));
    put_file("registry.reg", buffer_bytes(&content));
    buffer_clear(&content);
    free(from);
}

START_TEST(windows_profiles_are_people)
{
    put_registry("users.reg");
    expect_ok(local_users_read(root, &fs_real, NULL, &users, &err)); /* no passwd file */
    ck_assert_uint_eq(users.count, 3);
    const struct local_user *alice = find_user("AliceExample"), *bob = find_user("bob");
    ck_assert_str_eq(alice->home, "C:/Users/AliceExample");
    ck_assert_ptr_nonnull(strstr(alice->sid, "S-1-12-1-"));
    ck_assert_uint_ne(alice->uid, bob->uid);
    identity_resolve(&options, &fs_real, &users);
    ck_assert_str_eq(alice->email, "alice@example.com"); /* who signed in, not who joined */
    ck_assert_ptr_nonnull(strstr(alice->detail, "IdentityStore"));
    ck_assert_ptr_null(bob->email);
}
END_TEST

static const char one_profile[] =
    "Windows Registry Editor Version 5.00\r\n\r\n"
    "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\"
    "S-1-5-21-1-2-3-1001]\r\n"
    "\"ProfileImagePath\"=\"%%SystemDrive%%\\\\Users\\\\alice\"\r\n"
    "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\CloudDomainJoin\\JoinInfo\\A]\r\n"
    "\"UserEmail\"=\"alice@example.com\"\r\n"
    "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeTelemetry]\r\n\"UserEmail\"=\"%s\"\r\n";

START_TEST(a_policy_comes_before_who_joined_the_machine)
{
    static const struct {
        const char *policy, *email;
        enum identity_source source;
    } cases[] = {
        {"Policy@Example.com", "policy@example.com", IDENTITY_MDM},
        {"{{mail}}", "alice@example.com", IDENTITY_DIRECTORY},
        {"", "alice@example.com", IDENTITY_DIRECTORY},
    };
    char *text = xasprintf(one_profile, cases[_i].policy);
    put_file("registry.reg", bytes_of(text));
    expect_ok(local_users_read(root, &fs_real, NULL, &users, &err));
    ck_assert_str_eq(users.list[0].home, "C:/Users/alice");
    identity_resolve(&options, &fs_real, &users);
    expect_email(cases[_i].email, cases[_i].source);
    free(text);
}
END_TEST

static const char machine_policy[] = "Windows Registry Editor Version 5.00\r\n\r\n"
                                     "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeTelemetry]\r\n"
                                     "\"UserEmail\"=\"alice@example.com\"\r\n";

/* Each gives the whole machine one address. */
static void put_machines_address(int way)
{
    if (way == 0)
        put_recorded("managed-preferences.xml.plist",
                     "Library/Managed Preferences/com.claude-telemetry.agent.plist");
    else if (way == 1)
        put_recorded("kandji.plist", "Library/Managed Preferences/io.kandji.globalvariables.plist");
    else
        put_file("registry.reg", bytes_of(machine_policy));
}
static const char *const machine_emails[] = {"alice@example.com", "bob@example.com",
                                             "alice@example.com"};

static void expect_of(const char *name, const char *email)
{
    const struct local_user *user = find_user(name);
    if (email)
        ck_assert_msg(user->email && strcmp(user->email, email) == 0, "%s: %s", name,
                      user->problem);
    else
        ck_assert_msg(!user->email, "%s is %s", name, user->email);
}

START_TEST(a_machines_one_address_is_that_of_the_only_one_who_uses_claude_code)
{
    put_machines_address(_i);
    read_people(people);
    identity_resolve(&options, &fs_real, &users); /* nobody has used it yet */
    expect_of("alice", machine_emails[_i]);

    put_file("home/alice/.claude.json", bytes_of("{}"));
    identity_resolve(&options, &fs_real, &users);
    expect_of("alice", machine_emails[_i]);
    expect_of("bob", NULL);
    ck_assert_ptr_nonnull(strstr(find_user("bob")->problem, "'alice' uses Claude Code here too"));
}
END_TEST

START_TEST(where_several_use_claude_code_the_machines_address_is_nobodys)
{
    put_machines_address(_i);
    put_file("home/alice/.claude.json", bytes_of("{}"));
    put_file("home/bob/.claude.json", bytes_of("{}"));
    read_people(people);
    identity_resolve(&options, &fs_real, &users);
    expect_of("alice", NULL);
    expect_of("bob", NULL);
    ck_assert_ptr_nonnull(strstr(find_user("alice")->problem, "'bob' uses Claude Code"));
    ck_assert_ptr_nonnull(strstr(find_user("alice")->problem, "identity.email_from"));

    /* What is said of one user counts as ever. */
    put_recorded("managed-preferences.binary.plist",
                 "Library/Managed Preferences/alice/com.claude-telemetry.agent.plist");
    put_file("var/lib/AccountsService/users/bob", bytes_of("[User]\nEmail=b@example.com\n"));
    identity_resolve(&options, &fs_real, &users);
    expect_of("alice", "alice@example.com");
    expect_of("bob", "b@example.com");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, people_are_listed_and_system_accounts_are_not);
    tcase_add_test(tests, root_counts_where_there_is_nobody_else);
    tcase_add_test(tests, the_first_uid_of_people_is_the_systems_own);
    tcase_add_test(tests, odd_lines_are_passed_over);
    tcase_add_test(tests, a_machine_without_a_passwd_file_says_so);
    tcase_add_loop_test(tests, an_answer_is_judged_by_one_rule, 0,
                        (int)(sizeof answers / sizeof *answers));
    tcase_add_test(tests, an_overlong_answer_is_refused);
    tcase_add_loop_test(tests, each_source_is_read_in_its_own_format, 0,
                        (int)(sizeof places / sizeof *places));
    tcase_add_test(tests, the_configured_address_is_asked_first);
    tcase_add_test(tests, sources_are_asked_in_the_order_given);
    tcase_add_test(tests, a_variable_that_was_not_filled_in_lets_the_next_source_answer);
    tcase_add_test(tests, another_domain_is_refused_and_reported);
    tcase_add_test(tests, a_comment_field_or_a_sign_in_name_may_hold_the_address);
    tcase_add_test(tests, a_users_name_does_not_lead_to_another_file);
    tcase_add_test(tests, the_command_answers_as_the_user);
    tcase_add_test(tests, people_of_a_directory_are_found_by_their_homes_and_sessions);
    tcase_add_test(tests, a_macs_own_records_are_people);
    tcase_add_test(tests, windows_profiles_are_people);
    tcase_add_loop_test(tests, a_policy_comes_before_who_joined_the_machine, 0, 3);
    tcase_add_loop_test(tests, a_machines_one_address_is_that_of_the_only_one_who_uses_claude_code,
                        0, 3);
    tcase_add_loop_test(tests, where_several_use_claude_code_the_machines_address_is_nobodys, 0, 3);
    tcase_add_test(tests, a_command_that_hangs_is_ended_with_what_it_started);
    tcase_add_test(tests, a_command_that_fails_prints_nothing_useful_or_too_much_is_reported);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
