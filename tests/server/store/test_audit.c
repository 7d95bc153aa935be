#include "server/store/audit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/control.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static char *dir;
static struct control_store *store;
static struct error err;

static void set_up(void)
{
    dir = temp_dir_make();
    char *url = xasprintf("sqlite:%s/control.db", dir);
    store = control_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    free(url);
}

static void tear_down(void)
{
    store->kind->close(store);
    temp_dir_remove(dir);
}

static void add(const char *who, const char *action, const char *subject, uint64_t at_ns)
{
    const struct audit_note note = {.who = who,
                                    .role = "admin",
                                    .action = action,
                                    .source = "10.0.0.1",
                                    .subject = bytes_of(subject)};
    expect_ok(audit_add(store, &note, at_ns, &err));
}

struct listed {
    struct audit_entry items[16];
    size_t count;
};

static bool take(void *context, const struct audit_entry *entry)
{
    struct listed *l = context;
    l->items[l->count++] = *entry;
    return true;
}

static struct listed list(struct audit_query query)
{
    struct listed l = {.count = 0};
    query.max = query.max ? query.max : 16;
    expect_ok(store->kind->audit->list(store, &query, take, &l, &err));
    return l;
}

/* As somebody with the file and a shell would. */
static int run(const char *sql)
{
    char *path = xasprintf("%s/control.db", dir);
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    free(path);
    return code;
}

START_TEST(entries_come_back_newest_first_and_page_by_page)
{
    add("ann@example.com", "login", "ann@example.com", 10);
    add("bob@example.com", "message.read", "/api/v1/messages/1", 20);
    add("ann@example.com", "export", "/api/v1/usage/daily", 30);
    struct listed all = list((struct audit_query){0});
    ck_assert_uint_eq(all.count, 3);
    ck_assert_str_eq(all.items[0].action, "export");
    ck_assert_str_eq(all.items[1].who, "bob@example.com");
    ck_assert_str_eq(all.items[1].role, "admin");
    ck_assert_str_eq(all.items[1].subject, "/api/v1/messages/1");
    ck_assert_str_eq(all.items[1].source, "10.0.0.1");
    ck_assert_uint_eq(all.items[1].at_ns, 20);

    struct listed older = list((struct audit_query){.before_id = all.items[1].id});
    ck_assert_uint_eq(older.count, 1);
    ck_assert_str_eq(older.items[0].action, "login");
    ck_assert_uint_eq(list((struct audit_query){.who = "ann@example.com"}).count, 2);
    ck_assert_uint_eq(list((struct audit_query){.action = "login"}).count, 1);
    ck_assert_uint_eq(list((struct audit_query){.from_ns = 20, .to_ns = 30}).count, 1);
    ck_assert_uint_eq(list((struct audit_query){.max = 2}).count, 2);
}
END_TEST

START_TEST(an_entry_is_neither_changed_nor_deleted)
{
    add("ann@example.com", "login", "", 10);
    ck_assert_int_ne(run("DELETE FROM audit"), SQLITE_OK);
    ck_assert_int_ne(run("UPDATE audit SET who='bob@example.com'"), SQLITE_OK);
    ck_assert_uint_eq(list((struct audit_query){0}).count, 1);
}
END_TEST

START_TEST(what_is_changed_past_the_triggers_shows)
{
    static const char *const changes[] = {
        "UPDATE audit SET subject='other' WHERE id=2", "UPDATE audit SET at_ns=at_ns+1 WHERE id=2",
        "UPDATE audit SET who='ann@example.coml', role='ogin' WHERE id=2",
        "UPDATE audit SET source='10.0.0.2' WHERE id=2", "DELETE FROM audit WHERE id=2"};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct audit_entry last;
        if (i > 0)
            set_up();
        add("ann@example.com", "login", "one", 10);
        add("ann@example.com", "login", "two", 20);
        add("ann@example.com", "login", "three", 30);
        expect_ok(audit_verify(store, &last, &err));
        ck_assert_int_eq(last.id, 3);
        ck_assert_int_eq(run("DROP TRIGGER audit_keeps; DROP TRIGGER audit_stays"), SQLITE_OK);
        ck_assert_int_eq(run(changes[i]), SQLITE_OK);
        expect_fail(audit_verify(store, &last, &err), FAIL_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.cause, "entry 2"));
        if (i + 1 < sizeof changes / sizeof *changes)
            tear_down();
    }
}
END_TEST

START_TEST(long_and_broken_texts_are_cut_and_shown_as_question_marks)
{
    char subject[2 * AUDIT_SUBJECT_BYTES];
    memset(subject, 'x', sizeof subject);
    memcpy(subject, "a\x01\xff\xc3\xa9\n", 6);
    const struct audit_note note = {.action = "export",
                                    .subject = bytes_make(subject, sizeof subject)};
    expect_ok(audit_add(store, &note, 5, &err));
    struct listed l = list((struct audit_query){0});
    ck_assert_uint_eq(strlen(l.items[0].subject), AUDIT_SUBJECT_BYTES - 1);
    ck_assert_int_eq(strncmp(l.items[0].subject, "a??\xc3\xa9?xx", 8), 0);
    ck_assert_str_eq(l.items[0].who, "");
    struct audit_entry last;
    expect_ok(audit_verify(store, &last, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit_store");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, entries_come_back_newest_first_and_page_by_page);
    tcase_add_test(tests, an_entry_is_neither_changed_nor_deleted);
    tcase_add_test(tests, what_is_changed_past_the_triggers_shows);
    tcase_add_test(tests, long_and_broken_texts_are_cut_and_shown_as_question_marks);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
