/* Whatever the order and repetition of imports and of OpenTelemetry's rows, the daily answer is one. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "server/query/usage.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { PEOPLE = 3, DAYS = 4, SCHEDULES = 5, ANSWER_BYTES = 64 * 1024 };
#define MAY_1 (UINT64_C(20574) * 86400 * NS_PER_S) /* 2026-05-01 */
#define DAY (UINT64_C(86400) * NS_PER_S)

struct told {
    struct message_store store; /* first, so the pointers convert */
    struct usage_row rows[PEOPLE * DAYS];
};

static bool tell(struct message_store *store, const char *from_day, const char *to_day,
                 usage_visit *visit, void *context, struct error *err)
{
    struct told *t = (struct told *)store;
    (void)err;
    for (size_t i = 0; i < PEOPLE * DAYS; i++)
        if (strcmp(t->rows[i].day, from_day) >= 0 && strcmp(t->rows[i].day, to_day) <= 0 &&
            !visit(context, &t->rows[i]))
            break;
    return true;
}

static const struct message_store_kind kind = {.scheme = "told", .usage = tell};
static const char *const people[PEOPLE] = {"ann@x.io", "bob@x.io", "cem@x.io"};
static struct error err;

static void day_of(int day, char out[11])
{
    snprintf(out, 11, "2026-05-%02d", day % 90 + 1);
}

/* Which person's day a report knows, and what it says of it, is the same every time. */
static void import(struct control_store *control, enum api_report report, int day, int revision)
{
    const struct control_api_usage_kind *usage = control->kind->api_usage;
    struct api_chunk chunk = {.report = report};
    day_of(day, chunk.from);
    day_of(day + 1, chunk.to);
    for (int person = 0; person < PEOPLE; person++) {
        struct api_usage row = {.cost_1e8_usd = 7 + person};
        if ((person + day + (int)report) % 3 == 0)
            continue;
        snprintf(row.day, sizeof row.day, "%s", chunk.from);
        if (report == API_ENTERPRISE_USAGE)
            snprintf(row.account_id, sizeof row.account_id, "user_%d", person);
        else
            snprintf(row.email, sizeof row.email, "%s", people[person]);
        if (report == API_ENTERPRISE_USERS)
            snprintf(row.account_id, sizeof row.account_id, "user_%d", person);
        row.input_tokens = report == API_ENTERPRISE_USERS ? 0 : 100 * ((int)report + 1) + revision;
        row.cost_1e8_usd = report == API_ENTERPRISE_USERS ? 0 : row.cost_1e8_usd;
        row.sessions = report == API_ENTERPRISE_USERS ? day + 1 : 0;
        expect_ok(usage->chunk_stage(control, &chunk, &row, 1, "", &err));
    }
    expect_ok(usage->chunk_finish(control, &chunk, 1, &err));
}

static bool print_day(void *context, const struct usage_day *d)
{
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, ANSWER_BYTES - len, "%s %.*s%.*s %lld %lld %lld %u %u %u\n", d->day,
             (int)d->person.len, d->person.len ? (const char *)d->person.data : "",
             (int)d->actor.len, d->actor.len ? (const char *)d->actor.data : "",
             (long long)d->figures.input_tokens, (long long)d->figures.cost_1e8_usd,
             (long long)d->figures.sessions, d->sources[0], d->sources[1], d->sources[2]);
    return true;
}

static char *answer(struct told *told, struct control_store *control)
{
    char *text = xcalloc(1, ANSWER_BYTES);
    struct arena arena = {.max_bytes = MIB};
    const struct usage_question question = {.messages = &told->store,
                                            .control = control,
                                            .from_ns = MAY_1,
                                            .to_ns = MAY_1 + (DAYS - 1) * DAY,
                                            .now_ns = MAY_1 + 9 * DAY,
                                            .grouping = USAGE_BY_PERSON};
    expect_ok(usage_visit_days(&question, &arena, print_day, text, &err));
    arena_clear(&arena);
    return text;
}

static const enum api_report reports[] = {API_ADMIN_CLAUDE_CODE, API_ENTERPRISE_USERS,
                                          API_ENTERPRISE_USAGE, API_ANALYTICS_USAGE,
                                          API_ANALYTICS_COST};
enum { REPORTS = sizeof reports / sizeof *reports, IMPORTS = REPORTS * DAYS };

static void shuffle(int *order, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = (size_t)rand() % (i + 1);
        int kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

/* One schedule: some imports early and stale, then each in a random order, some twice. */
static char *run_schedule(bool random)
{
    char *dir = temp_dir_make(), *url = xasprintf("sqlite:%s/control.db", dir);
    struct control_store *control = control_store_open(url, &err);
    ck_assert(control != NULL);
    struct told told = {.store = {.kind = &kind}};
    int order[IMPORTS], rows[PEOPLE * DAYS];
    for (int i = 0; i < IMPORTS; i++)
        order[i] = i;
    for (int i = 0; i < PEOPLE * DAYS; i++)
        rows[i] = i;
    if (random) {
        for (int i = 0; i < 10; i++)
            import(control, reports[rand() % REPORTS], rand() % DAYS, 1 + rand() % 50);
        shuffle(order, IMPORTS);
        shuffle(rows, PEOPLE * DAYS);
    }
    for (int i = 0; i < PEOPLE * DAYS; i++) {
        struct usage_row *row = &told.rows[i];
        *row = (struct usage_row){.person = bytes_of(people[rows[i] % PEOPLE]),
                                  .session_id = bytes_of("s"),
                                  .input_tokens = 10 + rows[i],
                                  .cost_microcents = 3};
        day_of(rows[i] / PEOPLE, row->day);
    }
    for (int i = 0; i < IMPORTS; i++)
        for (int again = random ? rand() % 2 : 0; again >= 0; again--)
            import(control, reports[order[i] % REPORTS], order[i] / REPORTS, 0);
    char *text = answer(&told, control);
    control->kind->close(control);
    temp_dir_remove(dir);
    free(url);
    return text;
}

START_TEST(any_order_and_repetition_gives_the_same_answer)
{
    unsigned seed = (unsigned)time(NULL);
    const char *given = getenv("SEED");
    if (given)
        seed = (unsigned)strtoul(given, NULL, 10);
    printf("SEED=%u\n", seed);
    srand(seed);
    char *expected = run_schedule(false);
    ck_assert_msg(strstr(expected, "account:") == NULL, "%s", expected);
    for (int i = 0; i < SCHEDULES; i++) {
        char *got = run_schedule(true);
        ck_assert_msg(strcmp(expected, got) == 0, "SEED=%u schedule %d\n%s\n%s", seed, i, expected,
                      got);
        free(got);
    }
    free(expected);
}
END_TEST

START_TEST(money_is_rounded_once_half_up)
{
    ck_assert_int_eq(usage_cost_microcents(149), 1);
    ck_assert_int_eq(usage_cost_microcents(150), 2);
    ck_assert_int_eq(usage_cost_microcents(49), 0);
    ck_assert_int_eq(usage_cost_microcents(-50), 0);
    ck_assert_int_eq(usage_cost_microcents(-51), -1);
    ck_assert_int_eq(usage_cost_microcents(-150), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sources");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, any_order_and_repetition_gives_the_same_answer);
    tcase_add_test(tests, money_is_rounded_once_half_up);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
