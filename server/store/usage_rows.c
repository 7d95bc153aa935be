#include "server/store/usage_rows.h"

#include <math.h>
#include <string.h>

#include "server/message/mapping.h"
#include "server/store/day.h"

static bool ends_with(struct bytes text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.data + text.len - len, end, len) == 0;
}

static void add_tokens(struct usage_metrics *sums, struct bytes metric, struct bytes attributes,
                       double value)
{
    struct bytes type = metric_attribute(attributes, "type");
    bool claude = bytes_starts_with(metric, "claude_code.");
    if (type.len == 0)
        type = metric_attribute(attributes, "gen_ai.token.type");
    if (bytes_equal_text(type, "input"))
        *(claude ? &sums->input : &sums->inclusive_input) += value;
    else if (bytes_equal_text(type, "output") || bytes_equal_text(type, "thought"))
        sums->output += value;
    else if (bytes_equal_text(type, "cacheRead") || bytes_equal_text(type, "cache"))
        sums->cache_read += value;
    else if (bytes_equal_text(type, "cacheCreation"))
        sums->cache_create += value;
}

static void add_metric(struct usage_metrics *sums, struct bytes metric, struct bytes attributes,
                       double value)
{
    struct bytes type = metric_attribute(attributes, "type");
    if (ends_with(metric, ".token.usage")) {
        add_tokens(sums, metric, attributes, value);
    } else if (ends_with(metric, ".cost.usage")) {
        sums->usd += value;
    } else if (ends_with(metric, ".session.count")) {
        /* A view of other sessions, not one of its own. */
        if (!bytes_equal_text(metric_attribute(attributes, "start_type"), "agents_view"))
            sums->sessions += value;
    } else if (ends_with(metric, ".commit.count")) {
        sums->commits += value;
    } else if (ends_with(metric, ".pull_request.count")) {
        sums->pull_requests += value;
    } else if (ends_with(metric, ".lines_of_code.count") || ends_with(metric, ".lines.changed")) {
        *(bytes_equal_text(type, "removed") ? &sums->lines_removed : &sums->lines_added) += value;
    } else if (ends_with(metric, ".code_edit_tool.decision")) {
        bool accepted = bytes_equal_text(metric_attribute(attributes, "decision"), "accept");
        *(accepted ? &sums->edits_accepted : &sums->edits_rejected) += value;
    } else if (ends_with(metric, ".active_time.total")) {
        sums->active_seconds += value;
    }
}

static int64_t whole(double number)
{
    return number > 0 && number < 9.0e18 ? (int64_t)floor(number + 0.5) : 0;
}

static void set_sums(const struct usage_metrics *sums, struct usage_row *row)
{
    double net = sums->inclusive_input - sums->cache_read;
    double input = sums->input;
    if (sums->inclusive_input > 0)
        input += net > 0 ? net : 0;
    row->input_tokens = whole(input);
    row->output_tokens = whole(sums->output);
    row->cache_read_tokens = whole(sums->cache_read);
    row->cache_create_tokens = whole(sums->cache_create);
    int64_t cost = message_microcents_of_usd(sums->usd);
    row->cost_microcents = cost < 0 ? 0 : cost;
    row->sessions = whole(sums->sessions);
    row->commits = whole(sums->commits);
    row->pull_requests = whole(sums->pull_requests);
    row->lines_added = whole(sums->lines_added);
    row->lines_removed = whole(sums->lines_removed);
    row->edits_accepted = whole(sums->edits_accepted);
    row->edits_rejected = whole(sums->edits_rejected);
    row->active_seconds = sums->active_seconds;
}

void usage_reading_init(struct usage_reading *reading, usage_visit *visit, void *context)
{
    *reading = (struct usage_reading){.visit = visit,
                                      .context = context,
                                      .arena = {.max_bytes = MIB},
                                      .session_arena = {.max_bytes = MIB}};
}

void usage_reading_clear(struct usage_reading *reading)
{
    arena_clear(&reading->arena);
    arena_clear(&reading->session_arena);
}

static bool same_usage_row(const struct usage_reading *r, const char *day,
                           const struct usage_part *part)
{
    return r->open && strcmp(r->row.day, day) == 0 && bytes_equal(r->row.person, part->person) &&
           bytes_equal(r->row.system, part->system) && bytes_equal(r->row.model, part->model) &&
           bytes_equal(r->row.session_id, part->session) && r->row.origin == part->origin;
}

static bool is_new_session(struct usage_reading *r, const char *day, const struct usage_part *part)
{
    if (part->session.len == 0)
        return false;
    if (strcmp(r->session_day, day) == 0 && bytes_equal(r->session_id, part->session) &&
        bytes_equal(r->session_person, part->person) &&
        bytes_equal(r->session_system, part->system))
        return false;
    arena_reset(&r->session_arena);
    memcpy(r->session_day, day, sizeof r->session_day);
    return arena_copy(&r->session_arena, part->session, &r->session_id) &&
           arena_copy(&r->session_arena, part->person, &r->session_person) &&
           arena_copy(&r->session_arena, part->system, &r->session_system);
}

void usage_reading_end(struct usage_reading *r)
{
    if (!r->open)
        return;
    r->open = false;
    if (r->row.origin == USAGE_FROM_METRICS)
        set_sums(&r->sums, &r->row);
    r->stopped = !r->visit(r->context, &r->row);
}

static bool start_row(struct usage_reading *r, const char *day, const struct usage_part *part)
{
    arena_reset(&r->arena);
    r->row = (struct usage_row){.origin = part->origin};
    r->sums = (struct usage_metrics){0};
    r->open = true;
    memcpy(r->row.day, day, sizeof r->row.day);
    if (!arena_copy(&r->arena, part->person, &r->row.person) ||
        !arena_copy(&r->arena, part->system, &r->row.system) ||
        !arena_copy(&r->arena, part->model, &r->row.model) ||
        !arena_copy(&r->arena, part->session, &r->row.session_id))
        return false;
    if (r->row.origin == USAGE_FROM_METRICS)
        return true;
    r->row.requests = part->requests;
    r->row.input_tokens = part->input_tokens;
    r->row.output_tokens = part->output_tokens;
    r->row.cache_read_tokens = part->cache_read_tokens;
    r->row.cache_create_tokens = part->cache_create_tokens;
    r->row.cost_microcents = part->cost;
    r->row.sessions = is_new_session(r, day, part);
    return true;
}

bool usage_reading_add(struct usage_reading *r, const struct usage_part *part, struct error *err)
{
    char day[DAY_TEXT_BYTES];
    day_text(part->day, day);
    if (!same_usage_row(r, day, part)) {
        usage_reading_end(r);
        if (r->stopped)
            return false;
        if (!start_row(r, day, part))
            return error_set(err, FAIL_TOO_LARGE, "a usage row is too large to be read");
    }
    if (part->origin == USAGE_FROM_METRICS)
        add_metric(&r->sums, part->metric, part->attributes, part->value);
    return true;
}
