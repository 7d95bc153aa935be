/* What only Windows has; runs under Wine, too. */
#include "platform/windows_text.h"

#include <sddl.h>
#include <stdio.h>
#include <ws2tcpip.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "platform/registry.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *dir;

static void set_up(void)
{
    dir = temp_dir_make();
}

static void tear_down(void)
{
    temp_dir_remove(dir);
}

static char *own_sid(void)
{
    HANDLE token;
    ck_assert(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
    char *sid = sid_of_token(token);
    CloseHandle(token);
    ck_assert_ptr_nonnull(sid);
    return sid;
}

START_TEST(places_lie_below_program_data_and_below_a_root_lose_their_drive)
{
    char *real = platform_config_dir("/"), *inside = platform_config_dir("D:\\box\\");
    ck_assert_msg(strstr(real, ":/ProgramData/ClaudeTelemetry") == real + 1, "%s", real);
    ck_assert_str_eq(inside, "D:/box/ProgramData/ClaudeTelemetry");
    char *path = platform_under_root("", "C:\\a\\b");
    ck_assert_str_eq(path, "C:/a/b");
    free(path);
    free(inside);
    free(real);
}
END_TEST

START_TEST(names_and_content_beyond_ascii_come_back)
{
    char *path = xasprintf("%s/\xC3\xA4\xE2\x82\xAC \xF0\x9F\x98\x80", dir);
    struct buffer content = {.max_bytes = 100};
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("x"), 0600, &err));
    expect_ok(fs_read_file(&fs_real, path, &content, &err));
    expect_text(buffer_bytes(&content), "x");
    buffer_clear(&content);
    free(path);
}
END_TEST

START_TEST(paths_longer_than_260_characters_work)
{
    char *path = xstrdup(dir);
    for (int i = 0; i < 8; i++) {
        char *longer = xasprintf("%s/a-folder-with-a-name-of-fifty-characters-or-so-%d", path, i);
        free(path);
        path = longer;
    }
    char *file = xasprintf("%s/f", path);
    ck_assert_uint_gt(strlen(file), 400);
    expect_ok(fs_make_dirs(&fs_real, path, 0700, &err));
    expect_ok(fs_replace_file(&fs_real, file, bytes_of("x"), 0600, &err));
    struct fs_stat info;
    expect_ok(fs_real.stat(NULL, file, &info, &err));
    ck_assert(info.is_regular);
    free(file);
    free(path);
}
END_TEST

static char *list_of_mode(unsigned mode, bool is_directory)
{
    PSECURITY_DESCRIPTOR descriptor = descriptor_of_mode(mode, is_directory);
    LPWSTR wide = NULL;
    ck_assert_ptr_nonnull(descriptor);
    ck_assert(ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, SDDL_REVISION_1,
                                                                   DACL_SECURITY_INFORMATION, &wide,
                                                                   NULL));
    char *text = utf8_of(wide);
    LocalFree(wide);
    LocalFree(descriptor);
    return text;
}

START_TEST(a_private_files_list_names_nobody_else_and_inherits_nothing)
{
    char *sid = own_sid();
    char *private_list = list_of_mode(0600, false), *public_list = list_of_mode(0644, false);
    char *folder_list = list_of_mode(0700, true);
    ck_assert_ptr_eq(strstr(private_list, "D:P"), private_list);
    ck_assert_ptr_nonnull(strstr(private_list, ";;;SY)"));
    ck_assert_ptr_null(strstr(private_list, ";;;BU)"));
    ck_assert_ptr_null(strstr(private_list, ";;;WD)"));
    ck_assert_ptr_nonnull(strstr(public_list, ";;;BU)"));
    ck_assert_ptr_null(strstr(folder_list, ";;;BU)"));
    ck_assert_ptr_nonnull(strstr(folder_list, "OICI"));
    free(folder_list);
    free(public_list);
    free(private_list);
    free(sid);
}
END_TEST

/* Wine lists connections without their processes: there, nobody is the one right answer. */
START_TEST(the_owner_of_a_socket_is_right_or_unknown_and_of_a_closed_one_unknown)
{
    WSADATA data;
    ck_assert_int_eq(WSAStartup(MAKEWORD(2, 2), &data), 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof at;
    SOCKET listening = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, len), 0);
    struct sockaddr_storage remote, local;
    int remote_len = sizeof remote, local_len = sizeof local;
    SOCKET accepted = accept(listening, (struct sockaddr *)&remote, &remote_len);
    ck_assert_int_eq(getsockname(accepted, (struct sockaddr *)&local, &local_len), 0);

    char *sid = own_sid();
    struct platform_socket_owner owner = {.uid = 12345};
    if (platform_socket_owner(&local, &remote, &owner, &err))
        ck_assert_uint_eq(owner.uid, platform_uid_of_sid(sid));
    else
        ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
    free(sid);

    closesocket(client);
    expect_fail(platform_socket_owner(&local, &remote, &owner, &err), FAIL_NOT_FOUND);
    closesocket(accepted);
    closesocket(listening);
    WSACleanup();
}
END_TEST

/* This very program, which says "hello" when it is given a word: see main(). */
static struct platform_command command_of(const char *program, const char *argument)
{
    char *sid = own_sid();
    struct platform_command command = {.program = program,
                                       .argument = argument,
                                       .user = "me",
                                       .uid = platform_uid_of_sid(sid),
                                       .home = dir,
                                       .timeout_ms = 20000};
    free(sid);
    return command;
}

START_TEST(a_command_runs_for_us_and_not_for_others)
{
    char self[MAX_PATH];
    struct buffer out = {.max_bytes = 1000};
    ck_assert_uint_gt(GetModuleFileNameA(NULL, self, sizeof self), 0);
    struct platform_command command = command_of(self, "a \"b\" c\\");
    expect_ok(platform_run_command(&command, &out, &err));
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "hello a \"b\" c\\;"));
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "USERNAME=me;"));
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "SECRET=none;"));
    command.uid++;
    expect_fail(platform_run_command(&command, &out, &err), FAIL_DENIED);
    command = command_of(self, "fail");
    expect_fail(platform_run_command(&command, &out, &err), FAIL_IO);
    command = command_of("C:/nonexistent.exe", NULL);
    expect_fail(platform_run_command(&command, &out, &err), FAIL_NOT_FOUND);
    buffer_clear(&out);
}
END_TEST

START_TEST(the_folders_of_a_place_are_held_while_it_is_open)
{
    char *inner = xasprintf("%s/home/alice/.claude", dir), *moved = xasprintf("%s/moved", dir);
    char *file = xasprintf("%s/settings.json", inner), *name = NULL;
    expect_ok(fs_make_dirs(&fs_real, inner, 0700, &err));
    expect_ok(fs_replace_file(&fs_real, file, bytes_of("alice's"), 0600, &err));
    struct fs_place place = {.base = dir, .home = "/home/alice", .path = ".claude/settings.json"};
    struct fs_folder *folder = fs_real.folder_open(NULL, &place, &name, &err);
    ck_assert_msg(folder != NULL, "%s", err.cause);
    ck_assert_str_eq(name, "settings.json");
    struct fs_file *open = fs_real.folder_file(NULL, folder, name, FS_READ, 0, &err);
    ck_assert_msg(open != NULL, "%s", err.cause);
    fs_real.close(NULL, open);
    expect_fail(fs_real.folder_make(NULL, folder, name, 0700, &err), FAIL_BUSY);
    ck_assert_ptr_null(fs_real.folder_file(NULL, folder, "../settings.json", FS_READ, 0, &err));
    WCHAR *from = wide_path(inner, &err), *to = wide_path(moved, &err);
    ck_assert(!MoveFileExW(from, to, 0));
    fs_real.folder_close(NULL, folder);
    ck_assert(MoveFileExW(from, to, 0));
    free(name);
    place.path = ".missing/x";
    ck_assert_ptr_null(fs_real.folder_open(NULL, &place, &name, &err));
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
    free(to);
    free(from);
    free(file);
    free(moved);
    free(inner);
}
END_TEST

START_TEST(the_system_says_what_it_is)
{
    struct platform_os os;
    char host[64];
    platform_os(&os);
    platform_hostname(host, sizeof host);
    ck_assert_str_eq(os.name, "windows");
    ck_assert_str_eq(os.arch, "amd64");
    ck_assert_ptr_nonnull(strstr(os.version, "build"));
    ck_assert_msg(!strstr(os.version, "unknown"), "%s", os.version);
    ck_assert_str_ne(host, "");
    uint64_t year_2020_ns = UINT64_C(1577836800) * NS_PER_S;
    ck_assert_uint_gt(clock_wall_ns(&platform_clock), year_2020_ns);
}
END_TEST

static int be_the_command(const char *word)
{
    const char *user = getenv("USERNAME"), *secret = getenv("CT_TEST_SECRET");
    printf("hello %s;USERNAME=%s;SECRET=%s;\n", word, user ? user : "none",
           secret ? secret : "none");
    return strcmp(word, "fail") == 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return be_the_command(argv[1]);
    _putenv_s("CT_TEST_SECRET", "visible");
    Suite *suite = suite_create("windows");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, places_lie_below_program_data_and_below_a_root_lose_their_drive);
    tcase_add_test(tests, names_and_content_beyond_ascii_come_back);
    tcase_add_test(tests, paths_longer_than_260_characters_work);
    tcase_add_test(tests, a_private_files_list_names_nobody_else_and_inherits_nothing);
    tcase_add_test(tests, the_owner_of_a_socket_is_right_or_unknown_and_of_a_closed_one_unknown);
    tcase_add_test(tests, a_command_runs_for_us_and_not_for_others);
    tcase_add_test(tests, the_folders_of_a_place_are_held_while_it_is_open);
    tcase_add_test(tests, the_system_says_what_it_is);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
