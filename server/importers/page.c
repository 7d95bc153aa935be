/*
 * One reader for all reports: the page is walked once, and a table per report says which path of a
 * row fills which field. A row is kept back until its end, since JSON members come in any order.
 */
#include "server/importers/page.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/reader.h"

enum {
    PATH_BYTES = 256,
    MAX_MODELS = 64, /* per row; the vendor has a handful */
    MAX_FIELDS = 32,
    MAX_DEPTH = 16,
    TEXT_ROOM = 4096, /* of one decoded string; longer ones are cut */
};

enum field_kind {
    FIELD_TEXT,
    FIELD_EMAIL,
    FIELD_KEY_NAME,
    FIELD_DAY,
    FIELD_BOOL,
    FIELD_COUNT,
    FIELD_CENTS,
    FIELD_PRODUCT, /* rows of another product than Claude Code are skipped */
};

struct field {
    const char *path; /* below the row; '*' stands for one member name */
    enum field_kind kind;
    size_t offset;   /* in struct api_usage */
    unsigned needed; /* by these reports, a bit each: a page whose rows all lack it is none */
    bool may_go;     /* it is one all the same, and the lack is drift */
};

#define BY(report) (1u << (report))
#define AT(member) offsetof(struct api_usage, member)

/* Paths that start with "model_breakdown[]." fill a row of their own per element. */
static const struct field admin_fields[] = {
    {"date", FIELD_DAY, AT(day), 0, false},
    {"actor.email_address", FIELD_EMAIL, AT(email), 0, false},
    {"actor.api_key_name", FIELD_KEY_NAME, AT(api_key_name), 0, false},
    {"core_metrics.num_sessions", FIELD_COUNT, AT(sessions), BY(API_ADMIN_CLAUDE_CODE), true},
    {"core_metrics.lines_of_code.added", FIELD_COUNT, AT(lines_added), 0, false},
    {"core_metrics.lines_of_code.removed", FIELD_COUNT, AT(lines_removed), 0, false},
    {"core_metrics.commits_by_claude_code", FIELD_COUNT, AT(commits), 0, false},
    {"core_metrics.pull_requests_by_claude_code", FIELD_COUNT, AT(pull_requests), 0, false},
    {"tool_actions.*.accepted", FIELD_COUNT, AT(edits_accepted), 0, false},
    {"tool_actions.*.rejected", FIELD_COUNT, AT(edits_rejected), 0, false},
    {"model_breakdown[].model", FIELD_TEXT, AT(model), BY(API_ADMIN_CLAUDE_CODE), true},
    {"model_breakdown[].tokens.input", FIELD_COUNT, AT(input_tokens), BY(API_ADMIN_CLAUDE_CODE),
     false},
    {"model_breakdown[].tokens.output", FIELD_COUNT, AT(output_tokens), BY(API_ADMIN_CLAUDE_CODE),
     false},
    {"model_breakdown[].tokens.cache_read", FIELD_COUNT, AT(cache_read_tokens), 0, false},
    {"model_breakdown[].tokens.cache_creation", FIELD_COUNT, AT(cache_create_tokens), 0, false},
    {"model_breakdown[].estimated_cost.amount", FIELD_CENTS, AT(cost_1e8_usd),
     BY(API_ADMIN_CLAUDE_CODE), true},
    {NULL, 0, 0, 0, false},
};

static const struct field users_fields[] = {
    {"user.email_address", FIELD_EMAIL, AT(email), 0, false},
    {"user.id", FIELD_TEXT, AT(account_id), 0, false},
    {"claude_code_metrics.core_metrics.commit_count", FIELD_COUNT, AT(commits),
     BY(API_ENTERPRISE_USERS), true},
    {"claude_code_metrics.core_metrics.pull_request_count", FIELD_COUNT, AT(pull_requests), 0,
     false},
    {"claude_code_metrics.core_metrics.distinct_session_count", FIELD_COUNT, AT(sessions),
     BY(API_ENTERPRISE_USERS), true},
    {"claude_code_metrics.core_metrics.lines_of_code.added_count", FIELD_COUNT, AT(lines_added), 0,
     false},
    {"claude_code_metrics.core_metrics.lines_of_code.removed_count", FIELD_COUNT, AT(lines_removed),
     0, false},
    {"claude_code_metrics.tool_actions.*.accepted_count", FIELD_COUNT, AT(edits_accepted), 0,
     false},
    {"claude_code_metrics.tool_actions.*.rejected_count", FIELD_COUNT, AT(edits_rejected), 0,
     false},
    {NULL, 0, 0, 0, false},
};

/* The enterprise reports say `email`, everything else of the vendor `email_address`: both count. */
static const struct field enterprise_fields[] = {
    {"starting_at", FIELD_DAY, AT(day), 0, false},
    {"actor.email", FIELD_EMAIL, AT(email), 0, false},
    {"actor.email_address", FIELD_EMAIL, AT(email), 0, false},
    {"actor.user_id", FIELD_TEXT, AT(account_id), 0, false},
    {"actor.deleted", FIELD_BOOL, AT(deleted), 0, false},
    {"actor.api_key_id", FIELD_KEY_NAME, AT(api_key_name), 0, false},
    {"model", FIELD_TEXT, AT(model), 0, false},
    {"product", FIELD_PRODUCT, 0, 0, false},
    {"uncached_input_tokens", FIELD_COUNT, AT(input_tokens), BY(API_ENTERPRISE_USAGE), false},
    {"cache_read_input_tokens", FIELD_COUNT, AT(cache_read_tokens), 0, false},
    {"cache_creation.*", FIELD_COUNT, AT(cache_create_tokens), 0, false},
    {"output_tokens", FIELD_COUNT, AT(output_tokens), BY(API_ENTERPRISE_USAGE), false},
    {"requests", FIELD_COUNT, AT(requests), 0, false},
    {"amount", FIELD_CENTS, AT(cost_1e8_usd), BY(API_ENTERPRISE_COST), false},
    {NULL, 0, 0, 0, false},
};

static const struct field analytics_fields[] = {
    {"starting_at", FIELD_DAY, AT(day), 0, false},
    {"group.actor.email", FIELD_EMAIL, AT(email), 0, false},
    {"group.actor.email_address", FIELD_EMAIL, AT(email), 0, false},
    {"group.actor.user_id", FIELD_TEXT, AT(account_id), 0, false},
    {"group.actor.deleted", FIELD_BOOL, AT(deleted), 0, false},
    {"group.actor.api_key_id", FIELD_KEY_NAME, AT(api_key_name), 0, false},
    {"group.model", FIELD_TEXT, AT(model), 0, false},
    {"group.product", FIELD_PRODUCT, 0, 0, false},
    {"usage.uncached_input_tokens", FIELD_COUNT, AT(input_tokens), BY(API_ANALYTICS_USAGE), false},
    {"usage.cache_read_input_tokens", FIELD_COUNT, AT(cache_read_tokens), 0, false},
    {"usage.cache_creation.*", FIELD_COUNT, AT(cache_create_tokens), 0, false},
    {"usage.output_tokens", FIELD_COUNT, AT(output_tokens), BY(API_ANALYTICS_USAGE), false},
    {"usage.requests", FIELD_COUNT, AT(requests), 0, false},
    {"cost.amount", FIELD_CENTS, AT(cost_1e8_usd), BY(API_ANALYTICS_COST), false},
    {NULL, 0, 0, 0, false},
};

static const struct field *const report_fields[API_REPORT_COUNT] = {
    [API_ADMIN_CLAUDE_CODE] = admin_fields,     [API_ENTERPRISE_USERS] = users_fields,
    [API_ENTERPRISE_USAGE] = enterprise_fields, [API_ENTERPRISE_COST] = enterprise_fields,
    [API_ANALYTICS_USAGE] = analytics_fields,   [API_ANALYTICS_COST] = analytics_fields,
};

struct walk {
    enum api_report report;
    struct json_reader reader;
    char path[PATH_BYTES];      /* of the value at hand: "data[].actor.type" */
    size_t path_len[MAX_DEPTH]; /* of each open container */
    bool is_array[MAX_DEPTH];
    unsigned depth;
    bool saw_data;
    bool other_product;
    struct api_usage row;
    struct api_usage models[MAX_MODELS];
    size_t model_count;
    bool in_model;
    uint32_t row_total, model_total; /* in the page, whatever becomes of them */
    uint32_t seen[MAX_FIELDS];       /* how often each field of the report was there */
    api_usage_visit *visit;
    void *context;
    const char *day;
    struct api_page *page;
    struct buffer text;
};

static void note_drift(struct walk *w, const char *what, const char *path)
{
    size_t used = strlen(w->page->drift);
    if (strstr(w->page->drift, path))
        return;
    snprintf(w->page->drift + used, sizeof w->page->drift - used, "%s%s %s", used ? "; " : "", what,
             path);
}

/* Does `path` fit `pattern`, where '*' stands for one member name? */
static bool path_fits(const char *pattern, const char *path)
{
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            size_t name = strcspn(path, ".[");
            if (name == 0)
                return false;
            path += name;
        } else if (*path++ != *pattern) {
            return false;
        }
    }
    return *path == '\0';
}

static bool decode(struct walk *w, struct bytes span)
{
    buffer_reset(&w->text);
    return json_string_decode(span, &w->text);
}

static void put_text(struct walk *w, char *into)
{
    size_t len = w->text.len < API_TEXT_BYTES - 1 ? w->text.len : API_TEXT_BYTES - 1;
    memcpy(into, w->text.data ? (const char *)w->text.data : "", len);
    into[len] = '\0';
}

static void lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + ('a' - 'A'));
}

/* Counts may be null (not told) or, in some reports, strings. */
static void put_count(struct walk *w, enum json_token token, int64_t *into)
{
    int64_t count;
    if (token == JSON_NULL)
        return;
    if ((token != JSON_NUMBER && token != JSON_STRING) || !json_int64(w->reader.span, &count) ||
        count < 0 || *into > INT64_MAX - count) {
        note_drift(w, "no count at", w->path);
        return;
    }
    *into += count;
}

static void put_cents(struct walk *w, enum json_token token, int64_t *into)
{
    int64_t amount;
    if (token == JSON_NULL)
        return;
    if ((token != JSON_NUMBER && token != JSON_STRING) ||
        !api_cents_to_1e8_usd(w->reader.span, &amount)) {
        note_drift(w, "no amount at", w->path);
        return;
    }
    *into += amount;
}

static void fill(struct walk *w, const struct field *field, enum json_token token,
                 struct api_usage *row)
{
    char *at = (char *)row + field->offset;
    switch (field->kind) {
    case FIELD_COUNT:
        put_count(w, token, (int64_t *)(void *)at);
        return;
    case FIELD_CENTS:
        put_cents(w, token, (int64_t *)(void *)at);
        return;
    case FIELD_BOOL:
        *(bool *)at = token == JSON_TRUE;
        return;
    default:
        break;
    }
    if (token != JSON_STRING || !decode(w, w->reader.span))
        return;
    if (field->kind == FIELD_PRODUCT) {
        w->other_product = !bytes_equal_text(buffer_bytes(&w->text), "claude_code");
    } else if (field->kind == FIELD_DAY) {
        if (w->text.len >= API_DAY_BYTES - 1) {
            memcpy(at, w->text.data, API_DAY_BYTES - 1);
            at[API_DAY_BYTES - 1] = '\0';
        }
    } else {
        put_text(w, at);
        if (field->kind == FIELD_EMAIL)
            lower(at);
    }
}

static void take_row_value(struct walk *w, const char *below_row, enum json_token token)
{
    for (const struct field *field = report_fields[w->report]; field->path; field++)
        if (path_fits(field->path, below_row)) {
            w->seen[field - report_fields[w->report]]++;
            fill(w, field, token, w->in_model ? &w->models[w->model_count] : &w->row);
            return;
        }
}

static void take_value(struct walk *w, enum json_token token)
{
    static const char row_prefix[] = "data[].";
    if (strncmp(w->path, row_prefix, sizeof row_prefix - 1) == 0) {
        take_row_value(w, w->path + sizeof row_prefix - 1, token);
        return;
    }
    if (token != JSON_STRING || !decode(w, w->reader.span))
        return;
    if (strcmp(w->path, "next_page") == 0) {
        if (w->text.len < sizeof w->page->next_page)
            memcpy(w->page->next_page, w->text.data, w->text.len);
        else
            note_drift(w, "too long:", w->path);
    } else if (strcmp(w->path, "data_refreshed_at") == 0) {
        snprintf(w->page->data_refreshed_at, sizeof w->page->data_refreshed_at, "%.*s",
                 (int)w->text.len, (const char *)w->text.data);
    }
}

/* Who the parts of a row belong to is known only at its end. */
static bool emit(struct walk *w, struct api_usage *row)
{
    memcpy(row->day, w->row.day[0] ? w->row.day : w->day, API_DAY_BYTES);
    memcpy(row->email, w->row.email, sizeof row->email);
    memcpy(row->account_id, w->row.account_id, sizeof row->account_id);
    memcpy(row->api_key_name, w->row.api_key_name, sizeof row->api_key_name);
    row->deleted = w->row.deleted;
    w->page->rows++;
    return w->visit(w->context, row);
}

static bool end_row(struct walk *w)
{
    bool nameless = !w->row.email[0] && !w->row.account_id[0] && !w->row.api_key_name[0];
    if (w->other_product || nameless) {
        w->page->skipped++;
        return true;
    }
    for (size_t i = 0; i < w->model_count; i++)
        if (!emit(w, &w->models[i]))
            return false;
    return emit(w, &w->row);
}

static void begin_row(struct walk *w)
{
    w->row_total++;
    memset(&w->row, 0, sizeof w->row);
    w->model_count = 0;
    w->other_product = false;
}

/* `path` is that of the container. */
static bool open_container(struct walk *w, bool is_array)
{
    if (w->depth == MAX_DEPTH)
        return false;
    if (!is_array && strcmp(w->path, "data[]") == 0)
        begin_row(w);
    if (!is_array && strcmp(w->path, "data[].model_breakdown[]") == 0) {
        w->model_total++;
        w->in_model = w->model_count < MAX_MODELS;
        if (w->in_model)
            memset(&w->models[w->model_count], 0, sizeof w->models[0]);
        else
            note_drift(w, "too many at", w->path);
    }
    if (is_array && strcmp(w->path, "data") == 0)
        w->saw_data = true;
    w->path_len[w->depth] = strlen(w->path);
    w->is_array[w->depth] = is_array;
    w->depth++;
    return true;
}

static bool close_container(struct walk *w)
{
    w->depth--;
    w->path[w->path_len[w->depth]] = '\0';
    if (w->is_array[w->depth])
        return true;
    if (strcmp(w->path, "data[].model_breakdown[]") == 0 && w->in_model) {
        w->model_count++;
        w->in_model = false;
    }
    return strcmp(w->path, "data[]") != 0 || end_row(w);
}

/* Sets the path to that of the next member or element of the innermost container. */
static void enter(struct walk *w, const char *member)
{
    size_t base = w->depth ? w->path_len[w->depth - 1] : 0;
    snprintf(w->path + base, sizeof w->path - base, "%s%s", member && base ? "." : "",
             member     ? member
             : w->depth ? "[]"
                        : "");
}

static void enter_element(struct walk *w)
{
    if (w->depth && w->is_array[w->depth - 1])
        enter(w, NULL);
}

static bool walk_page(struct walk *w, struct error *err)
{
    for (;;) {
        enum json_token token = json_next(&w->reader);
        switch (token) {
        case JSON_ERROR:
            return json_fail(&w->reader, err);
        case JSON_END:
            return true;
        case JSON_KEY:
            if (!decode(w, w->reader.span))
                return error_set(err, FAIL_INVALID, "a member's name is too long");
            enter(w, buffer_text(&w->text) ? (const char *)w->text.data : "?");
            break;
        case JSON_OBJECT_OPEN:
        case JSON_ARRAY_OPEN:
            enter_element(w);
            if (!open_container(w, token == JSON_ARRAY_OPEN))
                return error_set(err, FAIL_INVALID, "nested too deeply");
            break;
        case JSON_OBJECT_CLOSE:
        case JSON_ARRAY_CLOSE:
            if (!close_container(w))
                return true; /* the visitor has enough */
            break;
        default:
            enter_element(w);
            take_value(w, token);
        }
    }
}

/*
 * A renamed field would read as 0, and 0 of an API would take the place of what OpenTelemetry
 * knows. Rows may lack a field, all of them may not.
 */
static bool has_needed(struct walk *w, struct error *err)
{
    const struct field *fields = report_fields[w->report];
    for (size_t i = 0; fields[i].path; i++) {
        uint32_t places = strchr(fields[i].path, '[') ? w->model_total : w->row_total;
        if (!(fields[i].needed & BY(w->report)) || places == 0 || w->seen[i] > 0)
            continue;
        if (fields[i].may_go) {
            note_drift(w, "nowhere:", fields[i].path);
            continue;
        }
        error_set(err, FAIL_NOT_FOUND, "%s no longer tells '%s'", api_report_name(w->report),
                  fields[i].path);
        return error_remedy(err, "update claude-telemetry-server; until then what was imported "
                                 "before stays, and OpenTelemetry fills the newest days");
    }
    return true;
}

static bool keep_nothing(void *context, const struct api_usage *row)
{
    (void)context;
    (void)row;
    return true;
}

static bool read_once(enum api_report report, const char *day, struct bytes body,
                      api_usage_visit *visit, void *context, struct api_page *out,
                      struct error *err)
{
    struct walk *w = xcalloc(1, sizeof *w); /* too large for a stack */
    memset(out, 0, sizeof *out);
    w->report = report;
    w->reader = json_reader_make(body);
    w->visit = visit;
    w->context = context;
    w->day = day;
    w->page = out;
    w->text.max_bytes = TEXT_ROOM;

    bool ok = walk_page(w, err);
    if (ok && !w->saw_data)
        ok = error_set(err, FAIL_INVALID, "the answer has no list \"data\"");
    if (!ok)
        error_wrap(err, "not a page of %s", api_report_name(report));
    ok = ok && has_needed(w, err);
    buffer_clear(&w->text);
    free(w);
    return ok;
}

bool api_page_read(enum api_report report, const char *day, struct bytes body,
                   api_usage_visit *visit, void *context, struct api_page *out, struct error *err)
{
    /* Once to see that it is whole: a cut-off page must not leave a part behind. */
    return read_once(report, day, body, keep_nothing, NULL, out, err) &&
           read_once(report, day, body, visit, context, out, err);
}

void api_error_message(struct bytes body, char *out, size_t size)
{
    struct json_reader r = json_reader_make(body);
    struct buffer text = {.max_bytes = TEXT_ROOM};
    unsigned depth = 0;
    bool in_error = false, at_message = false;
    out[0] = '\0';
    for (enum json_token t; (t = json_next(&r)) != JSON_END && t != JSON_ERROR;) {
        if (t == JSON_OBJECT_OPEN || t == JSON_ARRAY_OPEN)
            depth++;
        else if (t == JSON_OBJECT_CLOSE || t == JSON_ARRAY_CLOSE)
            depth--;
        else if (t == JSON_KEY && depth == 1)
            in_error = json_string_equals(r.span, "error");
        else if (t == JSON_KEY && depth == 2)
            at_message = in_error && json_string_equals(r.span, "message");
        else if (t == JSON_STRING && at_message && depth == 2) {
            at_message = false;
            if (json_string_decode(r.span, &text))
                snprintf(out, size, "%.*s", (int)text.len, (const char *)text.data);
        }
    }
    buffer_clear(&text);
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
}
