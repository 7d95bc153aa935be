#include "doctor/patient_fs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

/* Long enough that a busy machine answers within it, short enough to be waited for. */
enum { LIMIT_MS = 3000 };

static struct error err;
static char *dir, *gone; /* `gone` does not answer until the test lets it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool answers;
static atomic_uint asked;
static unsigned waiting;
static struct fs disk;
static struct patient_fs *patient;
static const struct fs *fs;

static void hang_below_gone(const char *path)
{
    if (strncmp(path, gone, strlen(gone)) != 0)
        return;
    atomic_fetch_add(&asked, 1);
    pthread_mutex_lock(&lock);
    waiting++;
    while (!answers)
        pthread_cond_wait(&changed, &lock);
    waiting--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool hanging_stat(void *context, const char *path, struct fs_stat *out, struct error *why)
{
    hang_below_gone(path);
    return fs_real.stat(context, path, out, why);
}

static struct fs_file *hanging_open(void *context, const char *path, unsigned how, uint32_t mode,
                                    struct error *why)
{
    hang_below_gone(path);
    return fs_real.open(context, path, how, mode, why);
}

static bool hanging_list(void *context, const char *path, fs_visit *visit, void *visitor,
                         struct error *why)
{
    hang_below_gone(path);
    return fs_real.list(context, path, visit, visitor, why);
}

static void set_up(void)
{
    dir = temp_dir_make();
    gone = xasprintf("%s/gone", dir);
    answers = false;
    waiting = 0;
    atomic_store(&asked, 0);
    disk = fs_real;
    disk.stat = hanging_stat;
    disk.open = hanging_open;
    disk.list = hanging_list;
    char *file = xasprintf("%s/here", dir), *home = xasprintf("%s/gone/home", dir);
    expect_ok(fs_make_dirs(&fs_real, home, 0700, &err));
    expect_ok(fs_replace_file(&fs_real, file, bytes_of("text"), 0600, &err));
    free(file);
    free(home);
    patient = patient_fs_create(&disk, LIMIT_MS);
    fs = patient_fs_table(patient);
}

/* What was left hanging ends before its test does. */
static void let_go(void)
{
    pthread_mutex_lock(&lock);
    answers = true;
    pthread_cond_broadcast(&changed);
    while (waiting > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void tear_down(void)
{
    let_go();
    patient_fs_destroy(patient);
    temp_dir_remove(dir);
    free(gone);
}

static bool count_name(void *context, const char *name)
{
    (void)name;
    return ++*(int *)context < 2;
}

START_TEST(what_answers_is_as_it_is)
{
    struct buffer text = {.max_bytes = KIB};
    struct fs_stat stat;
    char *file = xasprintf("%s/here", dir), *none = xasprintf("%s/none", dir);
    uint64_t room = 0;
    int names = 0;
    expect_ok(fs_read_file(fs, file, &text, &err));
    ck_assert_str_eq(buffer_text(&text), "text");
    expect_ok(fs->stat(fs->disk, file, &stat, &err));
    ck_assert_uint_eq(stat.size_bytes, 4);
    expect_fail(fs->stat(fs->disk, none, &stat, &err), FAIL_NOT_FOUND);
    expect_fail(fs_read_file(fs, none, &text, &err), FAIL_NOT_FOUND);
    expect_ok(fs->list(fs->disk, dir, count_name, &names, &err));
    ck_assert_int_eq(names, 2);
    expect_ok(fs->free_bytes(fs->disk, dir, &room, &err));
    ck_assert_uint_gt(room, 0);
    expect_ok(fs_replace_file(fs, none, bytes_of("more"), 0600, &err)); /* changes go through */
    expect_ok(fs_read_file(fs, none, &text, &err));
    ck_assert_str_eq(buffer_text(&text), "more");
    buffer_clear(&text);
    free(file);
    free(none);
}
END_TEST

START_TEST(what_does_not_answer_is_asked_once)
{
    struct buffer text = {.max_bytes = KIB};
    struct fs_stat stat;
    int names = 0;
    char *file = xasprintf("%s/gone/home/settings.json", dir);
    char *other = xasprintf("%s/gone/other", dir), *here = xasprintf("%s/here", dir);
    char *alike = xasprintf("%s/gone-not", dir);
    expect_fail(fs->stat(fs->disk, file, &stat, &err), FAIL_BUSY);
    ck_assert_ptr_nonnull(strstr(err.cause, file));
    ck_assert_str_ne(err.remedy, "");
    unsigned first = atomic_load(&asked); /* the file, and the folders above it */
    ck_assert_uint_eq(first, 3);
    expect_fail(fs_read_file(fs, file, &text, &err), FAIL_BUSY);
    expect_fail(fs->list(fs->disk, other, count_name, &names, &err), FAIL_BUSY);
    expect_fail(fs->stat(fs->disk, gone, &stat, &err), FAIL_BUSY);
    ck_assert_uint_eq(atomic_load(&asked), first);
    expect_ok(fs_read_file(fs, here, &text, &err)); /* what lies beside it answers */
    ck_assert_str_eq(buffer_text(&text), "text");
    let_go(); /* the name only begins alike: it is asked, and is not there */
    expect_fail(fs->stat(fs->disk, alike, &stat, &err), FAIL_NOT_FOUND);
    buffer_clear(&text);
    free(file);
    free(other);
    free(here);
    free(alike);
}
END_TEST

START_TEST(a_file_that_opens_too_late_is_closed_again)
{
    struct buffer text = {.max_bytes = KIB};
    char *file = xasprintf("%s/gone/late", dir);
    expect_ok(fs_replace_file(&fs_real, file, bytes_of("late"), 0600, &err));
    expect_fail(fs_read_file(fs, file, &text, &err), FAIL_BUSY);
    let_go(); /* the sanitizers see a file left open */
    buffer_clear(&text);
    free(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("doctor/patient_fs");
    TCase *tc = tcase_create("patient_fs");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_answers_is_as_it_is);
    tcase_add_test(tc, what_does_not_answer_is_asked_once);
    tcase_add_test(tc, a_file_that_opens_too_late_is_closed_again);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
