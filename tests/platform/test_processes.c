#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "platform/procargs.h"
#include "platform/processes.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

struct seen {
    int pid;
    bool found, has_environment, recent;
    uint32_t uid;
};

static bool find(void *context, const struct platform_process *process)
{
    struct seen *seen = context;
    if (process->pid != seen->pid)
        return true;
    uint64_t now = clock_wall_ns(&platform_clock);
    seen->found = process->command.len > 0;
    seen->has_environment = process->has_environment;
    seen->uid = process->uid;
    seen->recent =
        process->started_ns < now + 2 * NS_PER_S && process->started_ns + 600 * NS_PER_S > now;
    return false;
}

START_TEST(this_process_is_seen_with_its_environment_and_start)
{
    struct seen seen = {.pid = (int)getpid()};
    platform_processes("/", find, &seen);
    ck_assert(seen.found && seen.has_environment && seen.recent);
    ck_assert_uint_eq(seen.uid, platform_own_uid());
}
END_TEST

START_TEST(a_root_without_processes_has_none)
{
    char *root = temp_dir_make();
    struct seen seen = {.pid = (int)getpid()};
    platform_processes(root, find, &seen);
    ck_assert(!seen.found);
    temp_dir_remove(root);
}
END_TEST

#if !defined(_WIN32) /* there is no /proc there */
static bool take_start(void *context, const struct platform_process *process)
{
    *(uint64_t *)context = process->started_ns;
    return true;
}

static void write_at(const char *root, const char *name, const char *text)
{
    struct error err;
    char *path = xasprintf("%s/proc/%s", root, name);
    expect_ok(fs_replace_file(&fs_real, path, bytes_of(text), 0644, &err));
    free(path);
}

START_TEST(a_name_with_brackets_and_blanks_does_not_shift_the_start)
{
    struct error err;
    char *root = temp_dir_make(), *dir = xasprintf("%s/proc/7", root);
    uint64_t started = 0;
    char line[200];
    snprintf(line, sizeof line,
             "7 (a) b (c d) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 %ld 0",
             5 * sysconf(_SC_CLK_TCK));
    expect_ok(fs_make_dirs(&fs_real, dir, 0755, &err));
    write_at(root, "stat", "cpu 1 2\nbtime 1000\nx 1\n");
    write_at(root, "7/stat", line);
    write_at(root, "7/cmdline", "claude");
    platform_processes(root, take_start, &started);
    ck_assert_uint_eq(started, 1005 * NS_PER_S);
    free(dir);
    temp_dir_remove(root);
}
END_TEST
#endif

/* A count of arguments before the texts, as macOS has it. */
static struct platform_process taken_apart(int count, const char *texts, size_t len)
{
    static uint8_t all[256];
    struct platform_process process = {0};
    ck_assert_uint_le(sizeof count + len, sizeof all);
    memcpy(all, &count, sizeof count);
    memcpy(all + sizeof count, texts, len);
    procargs_take_apart(bytes_make(all, sizeof count + len), &process);
    return process;
}

START_TEST(arguments_and_environment_of_macos_are_told_apart)
{
    static const char texts[] = "/bin/node\0\0\0\0node\0/x/cli.js\0\0A=1\0B=\0\0stack";
    struct platform_process p = taken_apart(3, texts, sizeof texts);
    ck_assert(p.has_environment);
    ck_assert(bytes_equal(p.command, bytes_make("node\0/x/cli.js\0", 16)));
    ck_assert(bytes_equal(p.environment, bytes_make("A=1\0B=\0", 7)));

    /* Whatever is cut off, each text that is told has its end. */
    for (size_t len = 0; len < sizeof texts; len++) {
        p = taken_apart(3, texts, len);
        ck_assert(p.command.len == 0 || p.command.data[p.command.len - 1] == '\0');
        ck_assert(p.environment.len == 0 || p.environment.data[p.environment.len - 1] == '\0');
    }
    ck_assert_uint_eq(taken_apart(-1, texts, sizeof texts).command.len, 0);
    ck_assert_uint_le(taken_apart(1000, texts, sizeof texts).command.len, sizeof texts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processes");
    TCase *t = tcase_create("processes");
    tcase_add_test(t, this_process_is_seen_with_its_environment_and_start);
    tcase_add_test(t, a_root_without_processes_has_none);
#if !defined(_WIN32)
    tcase_add_test(t, a_name_with_brackets_and_blanks_does_not_shift_the_start);
#endif
    tcase_add_test(t, arguments_and_environment_of_macos_are_told_apart);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
