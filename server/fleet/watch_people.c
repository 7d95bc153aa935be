#include "server/fleet/watch_people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/day.h"
#include "server/store/fleet.h"

enum {
    RECENT_DAYS = 3, /* what is missing in them is missing now */
    BACK_DAYS = 35,  /* further back everyone is "missing" */
    API_DAYS = 8,    /* in which an API tells of a day */
};
#define A_DAY_NS (86400 * NS_PER_S)

struct watched_person *watched_people_add(struct watched_people *people, const char *email)
{
    if (people->count == people->capacity) {
        people->capacity = people->capacity ? 2 * people->capacity : 64;
        people->items = xrealloc(people->items, people->capacity * sizeof *people->items);
    }
    struct watched_person *person = &people->items[people->count++];
    *person = (struct watched_person){.facts = {.api_day = ""}};
    snprintf(person->email, sizeof person->email, "%s", email);
    return person;
}

void watched_people_clear(struct watched_people *people)
{
    free(people->items);
    *people = (struct watched_people){0};
}

/* ---- From the stores ---- */

struct gathering {
    struct watched_people *people;
    uint64_t now_ns;
    bool recent;
};

/* An installation's id or a local user's name is nobody to write to. */
static bool is_person(struct bytes name)
{
    return name.len > 0 && name.len < CONTROL_EMAIL_BYTES && memchr(name.data, '@', name.len);
}

static bool take_sender(void *context, const struct message_person *sender)
{
    struct gathering *g = context;
    char email[CONTROL_EMAIL_BYTES];
    if (!is_person(sender->person))
        return true;
    snprintf(email, sizeof email, "%.*s", (int)sender->person.len,
             (const char *)sender->person.data);
    struct watched_person *person = watched_people_add(g->people, email);
    uint64_t metric_ns = 0;
    if (sender->last_metric_day >= 0) /* of a point only its day is kept */
        metric_ns = ((uint64_t)sender->last_metric_day + 1) * A_DAY_NS - 1;
    if (metric_ns > g->now_ns)
        metric_ns = g->now_ns;
    person->facts.last_data_ns = sender->last_row_ns > metric_ns ? sender->last_row_ns : metric_ns;
    if (!g->recent)
        return true;
    person->facts.recent_rows = sender->rows;
    person->facts.recent_metrics = metric_ns > 0;
    person->facts.recent_tokens = sender->tokens;
    person->facts.recent_cost = sender->cost_microcents;
    return true;
}

static bool take_device(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    struct gathering *g = context;
    (void)heartbeat;
    if (is_person(bytes_of(device->owner)))
        watched_people_add(g->people, device->owner);
    return true;
}

static bool take_token(void *context, const struct control_token *token)
{
    struct gathering *g = context;
    if (token->revoked_ns == 0 && is_person(bytes_of(token->person)))
        watched_people_add(g->people, token->person);
    return true;
}

static bool take_api_day(void *context, enum api_report report, uint64_t imported_ns,
                         const struct api_usage *row)
{
    struct gathering *g = context;
    int64_t day;
    bool used = row->requests > 0 || row->sessions > 0 || row->input_tokens > 0 ||
                row->output_tokens > 0 || row->lines_added > 0 || row->edits_accepted > 0;
    (void)report;
    (void)imported_ns;
    if (!used || row->deleted || !is_person(bytes_of(row->email)) ||
        !day_of_text(bytes_of(row->day), &day))
        return true;
    struct watched_person *person = watched_people_add(g->people, row->email);
    memcpy(person->api_day, row->day, sizeof person->api_day);
    person->facts.api_day_ns = (uint64_t)day * A_DAY_NS;
    return true;
}

bool watched_people_gather(struct watched_people *people, const struct fleet_options *with,
                           uint64_t now_ns, bool look_back, struct error *err)
{
    struct gathering g = {.people = people, .now_ns = now_ns};
    struct control_store *control = with->control;
    struct message_store *messages = with->messages;
    int64_t today = (int64_t)(now_ns / A_DAY_NS);
    char far[DAY_TEXT_BYTES], near[DAY_TEXT_BYTES], from[DAY_TEXT_BYTES], to[DAY_TEXT_BYTES];
    day_text(today - BACK_DAYS, far);
    day_text(today - RECENT_DAYS, near);
    day_text(today - API_DAYS, from);
    day_text(today - 1, to);
    if (look_back && !messages->kind->people(messages, far, take_sender, &g, err))
        return false;
    g.recent = true;
    return messages->kind->people(messages, near, take_sender, &g, err) &&
           control->kind->fleet->device_list(control, take_device, &g, err) &&
           control->kind->token_list(control, take_token, &g, err) &&
           control->kind->api_usage->visit(control, from, to, take_api_day, &g, err);
}

/* ---- Together ---- */

static int by_email(const void *a, const void *b)
{
    return strcmp(((const struct watched_person *)a)->email,
                  ((const struct watched_person *)b)->email);
}

static void add_facts(struct watched_person *sum, const struct watched_person *more)
{
    struct health_person *to = &sum->facts;
    const struct health_person *from = &more->facts;
    if (from->last_data_ns > to->last_data_ns)
        to->last_data_ns = from->last_data_ns;
    if (from->api_day_ns > to->api_day_ns) {
        to->api_day_ns = from->api_day_ns;
        memcpy(sum->api_day, more->api_day, sizeof sum->api_day);
    }
    to->recent_rows += from->recent_rows;
    to->recent_metrics += from->recent_metrics;
    to->recent_tokens += from->recent_tokens;
    to->recent_cost += from->recent_cost;
}

void watched_people_visit(struct watched_people *people,
                          void (*visit)(void *context, const struct watched_person *person),
                          void *context)
{
    if (people->count > 0)
        qsort(people->items, people->count, sizeof *people->items, by_email);
    for (size_t i = 0; i < people->count;) {
        struct watched_person sum = people->items[i];
        for (i++; i < people->count && by_email(&people->items[i], &sum) == 0; i++)
            add_facts(&sum, &people->items[i]);
        sum.facts.api_day = sum.api_day;
        visit(context, &sum);
    }
}
