#include "agent/enroll/device.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *root, *state, *file;

static void set_up(void)
{
    root = temp_dir_make();
    state = xasprintf("%s/var/lib/claude-telemetry", root);
    file = xasprintf("%s/device.json", state);
}

static void tear_down(void)
{
    free(file);
    free(state);
    temp_dir_remove(root);
}

START_TEST(what_is_saved_is_loaded_and_only_the_owner_may_read_it)
{
    struct device device = {.id = "d-1",
                            .token = "ct_secret",
                            .hardware_id = "0123abcd",
                            .server_url = "https://x.example",
                            .heartbeat_interval_seconds = 30};
    struct device loaded;
    struct fs_stat stat;
    expect_fail(device_load(&fs_real, state, &loaded, &err), FAIL_NOT_FOUND);
    expect_ok(device_save(&fs_real, state, &device, &err));
    expect_ok(device_load(&fs_real, state, &loaded, &err));
    ck_assert_str_eq(loaded.id, "d-1");
    ck_assert_str_eq(loaded.token, "ct_secret");
    ck_assert_str_eq(loaded.hardware_id, "0123abcd");
    ck_assert_str_eq(loaded.server_url, "https://x.example");
    ck_assert_uint_eq(loaded.heartbeat_interval_seconds, 30);
    expect_ok(fs_real.stat(NULL, file, &stat, &err));
    ck_assert_uint_eq(stat.mode & 0777, 0600);
    expect_ok(fs_real.stat(NULL, state, &stat, &err));
    ck_assert_uint_eq(stat.mode & 0777, 0700);
}
END_TEST

START_TEST(a_damaged_file_is_told_from_a_missing_one)
{
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "{\"device_id\":\"a\",\"server_url\":\"b\"}",
        "{\"device_id\":1,\"device_token\":\"t\",\"server_url\":\"b\"}",
        "{\"device_id\":\"a\",\"device_token\":\"has space\",\"server_url\":\"b\"}",
        "{\"device_id\":\"a\",\"device_token\":\"\",\"server_url\":\"b\"}"};
    struct device loaded;
    expect_ok(fs_make_dirs(&fs_real, state, 0700, &err));
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        expect_ok(fs_replace_file(&fs_real, file, bytes_of(damaged[i]), 0600, &err));
        expect_fail(device_load(&fs_real, state, &loaded, &err), FAIL_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.remedy, "enroll"));
    }
}
END_TEST

START_TEST(the_hardware_id_follows_the_machine_and_hides_it)
{
    static const char machine[] = "0123456789abcdef0123456789abcdef";
    char first[DEVICE_HARDWARE_BYTES], again[DEVICE_HARDWARE_BYTES], other[DEVICE_HARDWARE_BYTES];
    char *etc = xasprintf("%s/etc", root), *path = xasprintf("%s/machine-id", etc);
    expect_ok(fs_make_dirs(&fs_real, etc, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, path, bytes_of(machine), 0644, &err));
    expect_ok(device_hardware_id(&fs_real, root, state, first, &err));
    expect_ok(device_hardware_id(&fs_real, root, state, again, &err));
    ck_assert_str_eq(first, again);
    ck_assert_uint_eq(strlen(first), 64);
    ck_assert_ptr_null(strstr(first, "0123456789abcdef"));
    expect_ok(
        fs_replace_file(&fs_real, path, bytes_of("fedcba9876543210fedcba9876543210"), 0644, &err));
    expect_ok(device_hardware_id(&fs_real, root, state, other, &err));
    ck_assert_str_ne(first, other);
    free(etc);
    free(path);
}
END_TEST

START_TEST(a_machine_without_an_id_gets_one_that_stays)
{
    char first[DEVICE_HARDWARE_BYTES], again[DEVICE_HARDWARE_BYTES];
    expect_ok(device_hardware_id(&fs_real, root, state, first, &err));
    expect_ok(device_hardware_id(&fs_real, root, state, again, &err));
    ck_assert_str_eq(first, again);
    char *elsewhere = xasprintf("%s/other", root);
    expect_ok(device_hardware_id(&fs_real, root, elsewhere, again, &err));
    ck_assert_str_ne(first, again);
    free(elsewhere);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device");
    TCase *tests = tcase_create("device");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_saved_is_loaded_and_only_the_owner_may_read_it);
    tcase_add_test(tests, a_damaged_file_is_told_from_a_missing_one);
    tcase_add_test(tests, the_hardware_id_follows_the_machine_and_hides_it);
    tcase_add_test(tests, a_machine_without_an_id_gets_one_that_stays);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
