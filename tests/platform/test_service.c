#include "platform/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/fs.h"
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

START_TEST(the_manager_gets_what_is_notified)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);

    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    platform_service_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    platform_service_notify("STOPPING=1"); /* nobody to tell */

    char text[64] = "";
    ck_assert_int_eq(recv(fd, text, sizeof text, 0), 7);
    ck_assert_str_eq(text, "READY=1");
    ck_assert_int_lt(recv(fd, text, sizeof text, 0), 0);
    close(fd);
}
END_TEST

START_TEST(the_watchdog_is_fed_twice_as_often_as_asked)
{
    ck_assert_uint_eq(platform_service_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    ck_assert_uint_eq(platform_service_watchdog_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
    ck_assert_uint_eq(platform_service_watchdog_ms(), 0);
}
END_TEST

START_TEST(passed_sockets_are_taken_once_and_only_listening_ones)
{
    char pid[32];
    int fds[4], listening = socket(AF_INET, SOCK_STREAM, 0);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    int checks_own[] = {fcntl(3, F_DUPFD, 20), fcntl(4, F_DUPFD, 20)};
    ck_assert_int_eq(listen(listening, 1), 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    listening = fcntl(listening, F_DUPFD, 20);
    other = fcntl(other, F_DUPFD, 20);

    dup2(listening, 3);
    dup2(other, 4);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", "1", 1);
    size_t anothers = platform_service_sockets(fds, 4);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", pid, 1);
    size_t ours = platform_service_sockets(fds, 4);
    int first = fds[0];
    size_t again = platform_service_sockets(fds, 4);
    for (int i = 0; i < 2; i++) {
        close(3 + i);
        if (checks_own[i] >= 0)
            dup2(checks_own[i], 3 + i);
    }

    ck_assert_uint_eq(anothers, 0);
    ck_assert_uint_eq(ours, 1);
    ck_assert_int_eq(first, 3);
    ck_assert_uint_eq(again, 0);
}
END_TEST

START_TEST(the_machine_id_is_read_below_the_root)
{
    char id[PLATFORM_MACHINE_ID_BYTES];
    char *etc = xasprintf("%s/etc", dir), *path = xasprintf("%s/machine-id", etc);
    expect_fail(platform_machine_id(dir, id, &err), FAIL_NOT_FOUND);
    expect_ok(fs_make_dirs(&fs_real, etc, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("uninitialized\n"), 0644, &err));
    expect_fail(platform_machine_id(dir, id, &err), FAIL_NOT_FOUND);
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("0123456789abcdef0123456789abcdef\n"), 0644,
                              &err));
    expect_ok(platform_machine_id(dir, id, &err));
    ck_assert_str_eq(id, "0123456789abcdef0123456789abcdef");
    free(etc);
    free(path);
}
END_TEST

START_TEST(a_childs_output_and_exit_code_are_had)
{
    const char *const argv[] = {"/bin/sh", "-c", "echo hello; exit 3", NULL};
    struct platform_child child;
    expect_ok(platform_child_start(argv, &child, &err));
    fcntl(child.output_fd, F_SETFL, 0); /* wait for it here */
    char text[64] = "";
    ck_assert_int_eq(platform_child_read(&child, text, sizeof text), 6);
    ck_assert_str_eq(text, "hello\n");
    ck_assert_int_eq(platform_child_finish(&child, false), 3);
}
END_TEST

START_TEST(a_child_can_be_ended_by_force)
{
    const char *const argv[] = {"/bin/sh", "-c", "exec tail -f /dev/null", NULL};
    struct platform_child child;
    expect_ok(platform_child_start(argv, &child, &err));
    ck_assert_int_eq(platform_child_finish(&child, true), -1);

    const char *const missing[] = {"/nonexistent/program", NULL};
    expect_fail(platform_child_start(missing, &child, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(the_programs_folder_is_absolute)
{
    char *folder = platform_program_dir();
    ck_assert_ptr_nonnull(folder);
    ck_assert_int_eq(folder[0], '/');
    free(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("service");
    TCase *tests = tcase_create("service");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_manager_gets_what_is_notified);
    tcase_add_test(tests, the_watchdog_is_fed_twice_as_often_as_asked);
    tcase_add_test(tests, passed_sockets_are_taken_once_and_only_listening_ones);
    tcase_add_test(tests, the_machine_id_is_read_below_the_root);
    tcase_add_test(tests, a_childs_output_and_exit_code_are_had);
    tcase_add_test(tests, a_child_can_be_ended_by_force);
    tcase_add_test(tests, the_programs_folder_is_absolute);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
