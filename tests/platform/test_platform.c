#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/platform.h"
#include "tests/support/expect.h"

static struct error err;

START_TEST(a_path_never_leaves_its_root)
{
    char *a = platform_under_root("/tmp/x/", "/etc/f");
    char *b = platform_under_root("/", "/etc/f");
    char *c = platform_under_root("", "/etc/f");
    ck_assert_str_eq(a, "/tmp/x/etc/f");
    ck_assert_str_eq(b, "/etc/f");
    ck_assert_str_eq(c, "/etc/f");
    free(a);
    free(b);
    free(c);
}
END_TEST

START_TEST(uuids_have_version_4_and_differ)
{
    char a[PLATFORM_UUID_BYTES], b[PLATFORM_UUID_BYTES];
    platform_uuid(a);
    platform_uuid(b);
    ck_assert_uint_eq(strlen(a), 36);
    ck_assert_int_eq(a[14], '4');
    ck_assert_str_ne(a, b);
}
END_TEST

/* A loopback connection: who owns the connecting end? */
START_TEST(the_owner_of_a_live_socket_is_known_and_of_a_closed_one_is_not)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, len), 0);

    struct sockaddr_storage remote, local;
    socklen_t remote_len = sizeof remote, local_len = sizeof local;
    int accepted = accept(listening, (struct sockaddr *)&remote, &remote_len);
    ck_assert_int_eq(getsockname(accepted, (struct sockaddr *)&local, &local_len), 0);

    struct platform_socket_owner owner = {.uid = 12345};
    expect_ok(platform_socket_owner(&local, &remote, &owner, &err));
    ck_assert_uint_eq(owner.uid, getuid());

    close(client);
    expect_fail(platform_socket_owner(&local, &remote, &owner, &err), FAIL_NOT_FOUND);
    close(accepted);
    close(listening);
}
END_TEST

static long resident_pages(void)
{
    long size = 0;
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident;
}

START_TEST(a_trimmed_program_is_smaller_and_goes_on_working)
{
    char before[PLATFORM_UUID_BYTES];
    char after[PLATFORM_UUID_BYTES];
    platform_uuid(before);
    long pages = resident_pages();
    for (int i = 0; i < 3; i++)
        platform_trim_memory();
    ck_assert_int_lt(resident_pages(), pages);
    platform_uuid(after);
    ck_assert_str_ne(before, after);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_path_never_leaves_its_root);
    tcase_add_test(tests, uuids_have_version_4_and_differ);
    tcase_add_test(tests, the_owner_of_a_live_socket_is_known_and_of_a_closed_one_is_not);
    tcase_add_test(tests, a_trimmed_program_is_smaller_and_goes_on_working);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
