#include "server/store/audit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/control.h"
#include "tests/server/control_place.h"
#include "tests/support/expect.h"

static const char *url;
static struct control_store *store;
static struct error err;

static void set_up(void)
{
    url = control_place_make();
    store = control_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
}

static void tear_down(void)
{
    store->kind->close(store);
    control_place_remove();
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
    ck_assert(!control_place_run_sql("DELETE FROM audit"));
    ck_assert(!control_place_run_sql("UPDATE audit SET who='bob@example.com'"));
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
        ck_assert(control_place_unguard_audit());
        ck_assert(control_place_run_sql(changes[i]));
        expect_fail(audit_verify(store, &last, &err), FAIL_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.cause, "entry 2"));
        if (i + 1 < sizeof changes / sizeof *changes)
            tear_down();
    }
}
END_TEST

enum { WRITERS = 4, ENTRIES = 25 };

static void *add_often(void *own_store)
{
    struct error own = {0};
    const struct audit_note note = {.who = "ann@example.com", .action = "export"};
    for (int i = 0; i < ENTRIES; i++)
        if (!audit_add(own_store, &note, (uint64_t)i, &own))
            return xstrdup(own.cause);
    return NULL;
}

START_TEST(of_many_that_write_at_once_each_follows_another)
{
    struct control_store *stores[WRITERS]; /* as processes have them */
    pthread_t threads[WRITERS];
    struct audit_entry last;
    for (int i = 0; i < WRITERS; i++) {
        stores[i] = control_store_open(url, &err);
        ck_assert_msg(stores[i] != NULL, "%s", err.cause);
    }
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_often, stores[i]), 0);
    for (int i = 0; i < WRITERS; i++) {
        char *failed;
        pthread_join(threads[i], (void **)&failed);
        ck_assert_msg(!failed, "%s", failed);
        stores[i]->kind->close(stores[i]);
    }
    expect_ok(audit_verify(store, &last, &err));
    ck_assert_int_eq(last.id, WRITERS * ENTRIES);
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

static Suite *make_suite(const char *kind)
{
    Suite *suite = suite_create(kind);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, entries_come_back_newest_first_and_page_by_page);
    tcase_add_test(tests, an_entry_is_neither_changed_nor_deleted);
    tcase_add_test(tests, what_is_changed_past_the_triggers_shows);
    tcase_add_test(tests, of_many_that_write_at_once_each_follows_another);
    tcase_add_test(tests, long_and_broken_texts_are_cut_and_shown_as_question_marks);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return control_places_run(make_suite);
}
