#include "server/query/privacy.h"

#include "base/memory.h"
#include "tests/support/expect.h"

/* ---- What is withheld ---- */

enum { MAX = 16 };
static struct privacy_row rows[MAX];
static struct bytes keys[MAX][2];
static size_t count;

static void set_up(void)
{
    count = 0;
}

static void add(const char *first, const char *second, int64_t people)
{
    keys[count][0] = bytes_of(first);
    keys[count][1] = bytes_of(second);
    rows[count] = (struct privacy_row){.people = people, .keys = keys[count]};
    count++;
}

static void expect_shown(size_t key_count, const char *shown)
{
    char all[256] = "";
    size_t withheld = privacy_withhold(rows, count, key_count), left = 0;
    for (size_t i = 0; i < count; i++) {
        left += !rows[i].withheld;
        if (rows[i].withheld)
            continue;
        strncat(all, (const char *)keys[i][0].data, keys[i][0].len);
        strncat(all, (const char *)keys[i][1].data, keys[i][1].len);
        strcat(all, " ");
    }
    ck_assert_str_eq(all, shown);
    ck_assert_uint_eq(withheld + left, count);
}

START_TEST(groups_of_five_are_shown)
{
    add("a", "", 5);
    add("b", "", 50);
    expect_shown(1, "a b ");
}
END_TEST

START_TEST(a_small_group_takes_the_smallest_large_one_with_it)
{
    add("large", "", 50);
    add("middle", "", 9);
    add("small", "", 4);
    expect_shown(1, "large "); /* else the sum of all, less what is shown, were the small one's */
}
END_TEST

START_TEST(what_is_withheld_by_two_keys_follows_from_neither_sum)
{
    add("a", "1", 20);
    add("a", "2", 2);
    add("b", "1", 9);
    add("b", "2", 30);
    add("c", "1", 7);
    add("c", "2", 8);
    /* a2 alone in its row takes a1, and in its column c2. */
    expect_shown(2, "b1 b2 c1 ");
}
END_TEST

START_TEST(one_row_alone_is_withheld_alone)
{
    add("", "", 3);
    expect_shown(0, "");
    set_up();
    add("", "", 6);
    expect_shown(0, " ");
}
END_TEST

/* ---- Filters ---- */

struct fake_store {
    struct message_store store;
    int64_t people[8]; /* answered in turn */
    size_t asked;
    enum message_field negated[8];
};

static bool fake_aggregate(struct message_store *store, const struct aggregate_query *query,
                           aggregate_visit *visit, void *context, struct error *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    (void)err;
    ck_assert_int_eq(query->metrics[0].function, AGGREGATE_UNIQ);
    ck_assert_int_eq(query->metrics[0].field, FIELD_PERSON);
    for (size_t i = 0; i < query->where.filter_count; i++)
        if (query->where.filters[i].none_of)
            fake->negated[fake->asked] = query->where.filters[i].field;
    const struct aggregate_row row = {.integers = &fake->people[fake->asked++]};
    return visit(context, &row) || true;
}

static const struct message_store_kind fake_kind = {.aggregate = fake_aggregate};

static bool check(struct fake_store *fake, struct error *err)
{
    static const struct message_filter filters[] = {{.field = FIELD_TYPE},
                                                    {.field = FIELD_MODEL},
                                                    {.field = FIELD_TOOL_NAME}};
    const struct message_query where = {.filters = filters, .filter_count = 3};
    fake->store.kind = &fake_kind;
    return privacy_check_filters(&fake->store, &where, err);
}

START_TEST(a_filter_may_leave_out_nobody_or_five_but_not_four)
{
    struct error err = {0};
    struct fake_store good = {.people = {0, 5}};
    expect_ok(check(&good, &err));
    ck_assert_uint_eq(good.asked, 2);
    ck_assert_int_eq(good.negated[0], FIELD_MODEL);
    ck_assert_int_eq(good.negated[1], FIELD_TOOL_NAME);
    struct fake_store bad = {.people = {70, 4}};
    expect_fail(check(&bad, &err), FAIL_DENIED);
}
END_TEST

/* ---- Addresses ---- */

static bool replace(void *context, struct bytes address, struct buffer *out)
{
    (void)context;
    return buffer_append_text(out, "<") && buffer_append(out, address) &&
           buffer_append_text(out, ">");
}

static void expect_masked(const char *text, const char *masked)
{
    struct buffer out = {.max_bytes = KIB};
    struct error err = {0};
    expect_ok(privacy_mask(bytes_of(text), replace, NULL, &out));
    ck_assert_str_eq(buffer_text(&out), masked);
    ck_assert(privacy_has_address(bytes_of(text)) == (strcmp(text, masked) != 0));
    buffer_clear(&out);
}

START_TEST(addresses_are_found_in_any_text)
{
    expect_masked("", "");
    expect_masked("@", "@");
    expect_masked("no address @ all", "no address @ all");
    expect_masked("npm i left-pad@1.3.0", "npm i left-pad@1.3.0");
    expect_masked("Ada@Example.com", "<ada@example.com>");
    expect_masked("mail ada.b+x@example.com, bo@corp; end",
                  "mail <ada.b+x@example.com>, <bo@corp>; end");
    expect_masked("a@b@c.org", "<a@b>@c.org");
    expect_masked("ünal@exämple.de", "<ünal@exämple.de>");
    expect_masked("https://ada@example.com/x", "https://<ada@example.com>/x");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("privacy");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, groups_of_five_are_shown);
    tcase_add_test(tests, a_small_group_takes_the_smallest_large_one_with_it);
    tcase_add_test(tests, what_is_withheld_by_two_keys_follows_from_neither_sum);
    tcase_add_test(tests, one_row_alone_is_withheld_alone);
    tcase_add_test(tests, a_filter_may_leave_out_nobody_or_five_but_not_four);
    tcase_add_test(tests, addresses_are_found_in_any_text);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
