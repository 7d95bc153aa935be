/* What the APIs told, and whose it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/query/usage_cells.h"

/* ---- Whose account is it? ---- */

struct account {
    struct bytes id, person; /* in the arena */
    size_t order;            /* the first one learned of an id is believed */
};

struct reading {
    const struct usage_question *question;
    struct usage_cells *cells;
    struct account *accounts; /* by id */
    size_t account_count, account_capacity;
};

static bool learn(struct reading *r, struct bytes id, struct bytes person)
{
    if (r->account_count == r->account_capacity) {
        r->account_capacity = r->account_capacity ? 2 * r->account_capacity : 256;
        r->accounts = xrealloc(r->accounts, r->account_capacity * sizeof *r->accounts);
    }
    struct account *a = &r->accounts[r->account_count];
    a->order = r->account_count;
    r->cells->full |= !arena_copy(r->cells->arena, id, &a->id) ||
                      !arena_copy(r->cells->arena, person, &a->person);
    r->account_count += !r->cells->full;
    return !r->cells->full;
}

static bool learn_from_api(void *context, const char *account_id, const char *email)
{
    return learn(context, bytes_of(account_id), bytes_of(email));
}

static bool learn_from_otel(void *context, struct bytes account_id, struct bytes person)
{
    return learn(context, account_id, person);
}

static int by_account(const void *first, const void *second)
{
    const struct account *a = first, *b = second;
    int order = usage_compare_texts(a->id, b->id);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* The API itself knows best who an account is; then what Claude Code sent. */
static bool learn_accounts(struct reading *r, struct error *err)
{
    const struct usage_question *q = r->question;
    if (!q->control->kind->api_usage->accounts(q->control, learn_from_api, r, err))
        return false;
    if (q->messages->kind->accounts &&
        !q->messages->kind->accounts(q->messages, learn_from_otel, r, err))
        return false;
    if (r->account_count > 0)
        qsort(r->accounts, r->account_count, sizeof *r->accounts, by_account);
    return true;
}

static struct bytes person_of_account(const struct reading *r, struct bytes id)
{
    size_t low = 0, high = r->account_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (usage_compare_texts(r->accounts[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->account_count && usage_compare_texts(r->accounts[low].id, id) == 0
               ? r->accounts[low].person
               : (struct bytes){0};
}

static struct bytes person_of_key(const struct integrations *with, const char *key_name)
{
    for (size_t i = 0; with && i < with->key_person_count; i++)
        if (strcmp(with->key_persons[i].key_name, key_name) == 0)
            return bytes_of(with->key_persons[i].person);
    return (struct bytes){0};
}

/* The person, or, when none is known, what the API calls the actor. */
static void name_actor(const struct reading *r, const struct api_usage *row,
                       struct usage_cell *cell, char actor[API_TEXT_BYTES + 16])
{
    if (row->email[0])
        cell->person = bytes_of(row->email);
    else if (row->account_id[0])
        cell->person = person_of_account(r, bytes_of(row->account_id));
    else
        cell->person = person_of_key(r->question->integrations, row->api_key_name);
    if (cell->person.len > 0)
        return;
    snprintf(actor, API_TEXT_BYTES + 16, "%s%s", row->account_id[0] ? "account:" : "api_key:",
             row->account_id[0] ? row->account_id : row->api_key_name);
    cell->actor = bytes_of(actor);
}

/* ---- The rows ---- */

static enum usage_source source_of(const struct reading *r, enum api_report report)
{
    const struct integrations *with = r->question->integrations;
    switch (report) {
    case API_ADMIN_CLAUDE_CODE:
        return USAGE_ADMIN_API;
    case API_ANALYTICS_USAGE:
    case API_ANALYTICS_COST: /* either key opens the beta */
        return with && with->beta == INTEGRATION_ADMIN ? USAGE_ADMIN_API : USAGE_ENTERPRISE_API;
    default:
        return USAGE_ENTERPRISE_API;
    }
}

static bool take_row(void *context, enum api_report report, uint64_t imported_ns,
                     const struct api_usage *row)
{
    struct reading *r = context;
    (void)imported_ns;
    char actor[API_TEXT_BYTES + 16];
    struct usage_cell cell = {.source = source_of(r, report),
                              .beta = report == API_ANALYTICS_USAGE || report == API_ANALYTICS_COST,
                              .model = bytes_of(row->model),
                              .figures = {.input_tokens = row->input_tokens,
                                          .output_tokens = row->output_tokens,
                                          .cache_read_tokens = row->cache_read_tokens,
                                          .cache_create_tokens = row->cache_create_tokens,
                                          .cost_1e8_usd = row->cost_1e8_usd,
                                          /* The cost reports count the same requests once more. */
                                          .requests = api_report_families(report) & API_TOKENS
                                                          ? row->requests
                                                          : 0,
                                          .sessions = row->sessions,
                                          .commits = row->commits,
                                          .pull_requests = row->pull_requests,
                                          .lines_added = row->lines_added,
                                          .lines_removed = row->lines_removed,
                                          .edits_accepted = row->edits_accepted,
                                          .edits_rejected = row->edits_rejected}};
    snprintf(cell.day, sizeof cell.day, "%s", row->day);
    name_actor(r, row, &cell, actor);
    return usage_cells_add(r->cells, &cell);
}

bool usage_read_api(const struct usage_question *question, const char *from_day, const char *to_day,
                    struct usage_cells *cells, struct error *err)
{
    struct reading r = {.question = question, .cells = cells};
    bool done = learn_accounts(&r, err) &&
                question->control->kind->api_usage->visit(question->control, from_day, to_day,
                                                          take_row, &r, err);
    free(r.accounts);
    return done;
}

/* ---- Is there any? ---- */

static bool take_any(void *context, enum api_report report, uint64_t imported_ns,
                     const struct api_usage *row)
{
    (void)report;
    (void)imported_ns;
    (void)row;
    *(bool *)context = true;
    return false;
}

bool usage_api_told(struct control_store *control, uint64_t from_ns, uint64_t to_ns, bool *told,
                    struct error *err)
{
    char from[INSTANT_DAY_BYTES], to[INSTANT_DAY_BYTES];
    *told = false;
    if (!control || !control->kind->api_usage)
        return true;
    instant_day(from_ns, from);
    instant_day(to_ns, to);
    return control->kind->api_usage->visit(control, from, to, take_any, told, err);
}
