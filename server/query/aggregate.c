/* GET /api/v1/messages/aggregate, as JSON or CSV. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/json/writer.h"
#include "server/query/aggregate_usage.h"
#include "server/query/handlers.h"
#include "server/query/people.h"
#include "server/query/table.h"

struct answer {
    const struct question *question;
    const struct people *people;
    struct table table;
    struct arena shown; /* texts of the row at hand */
    size_t withheld;    /* rows */
    bool told;          /* rows have a source */
    bool fits;
    struct json_writer writer;
    struct buffer out;
};

/* ---- The rows ---- */

static bool keep_row(void *context, const struct aggregate_row *row)
{
    struct answer *a = context;
    return a->fits = table_add(&a->table, row) != NULL;
}

/* In cohorts: what fewer than five people stand behind, and what would give it away. */
static bool withhold(const struct query *context, struct answer *a, struct error *err)
{
    const struct question *q = a->question;
    struct table *t = &a->table;
    size_t key_count = t->group_count + (q->query.interval != INTERVAL_NONE);
    struct privacy_row *rows = xcalloc(t->count + 1, sizeof *rows);
    struct bytes *keys = xcalloc(t->count * key_count + 1, sizeof *keys);
    for (size_t i = 0; i < t->count; i++) {
        const struct aggregate_row *row = &t->rows[i].row;
        struct bytes *own = keys + i * key_count;
        /* The first byte keeps the rest of a top apart from a group of that name. */
        for (size_t g = 0; g < t->group_count; g++)
            own[g] = row->is_other ? bytes_of("\x01other") : row->groups[g];
        if (q->query.interval != INTERVAL_NONE)
            own[key_count - 1] = row->interval_start;
        rows[i] = (struct privacy_row){.people = row->integers[q->metric_count], .keys = own};
    }
    a->withheld = privacy_withhold(rows, t->count, key_count);
    for (size_t i = 0; i < t->count; i++)
        t->rows[i].withheld = rows[i].withheld;
    free(keys);
    free(rows);
    return privacy_check_filters(context->messages, &q->query.where, err);
}

static bool ask(const struct query *context, struct answer *a, struct error *err)
{
    const struct question *q = a->question;
    if (!aggregate_usage_applies(context, q, &a->told, err))
        return false;
    bool done = a->told ? aggregate_usage_fill(context, q, &a->table, &a->fits, err)
                        : context->messages->kind->aggregate(context->messages, &q->query, keep_row,
                                                             a, err);
    return done && (q->names != PRIVACY_COHORTS || withhold(context, a, err));
}

/* A group's value as it may be shown; data NULL when it is absent. */
static struct bytes shown_group(struct answer *a, const struct aggregate_row *row, size_t i)
{
    const struct aggregate_group *group = &a->question->groups[i];
    const struct field_use use = {.field = group->field, .metadata_key = group->metadata_key};
    if (row->is_other)
        return bytes_of("other");
    return row->groups[i].len == 0
               ? row->groups[i]
               : people_value(a->people, &use, row->groups[i], a->question->names, &a->shown);
}

/* ---- As JSON ---- */

static void put_number(struct json_writer *w, const struct aggregate_row *row, size_t i)
{
    if (row->is_integer[i])
        json_put_int(w, row->integers[i]);
    else
        json_put_double(w, row->numbers[i]); /* NaN, no value, becomes null */
}

/* A group's value has the type that it has in a row: only `success` is no text. */
static void put_group(struct answer *a, const struct aggregate_row *row, size_t i)
{
    struct json_writer *w = &a->writer;
    struct bytes value = shown_group(a, row, i);
    if (!value.data)
        json_put_null(w);
    else if (a->question->groups[i].field == FIELD_SUCCESS && !row->is_other)
        json_put_bool(w, bytes_equal_text(value, "true"));
    else
        json_put_bytes(w, value);
}

static void put_source(struct json_writer *w, const struct table_row *row)
{
    char sources[48];
    usage_sources_text(row->sources, sources);
    json_put_key(w, "source");
    json_put_string(w, sources);
    json_put_key(w, "provisional");
    json_put_bool(w, row->provisional);
}

static void put_json_row(struct answer *a, const struct table_row *kept)
{
    const struct question *q = a->question;
    const struct aggregate_row *row = &kept->row;
    struct json_writer *w = &a->writer;
    json_object_open(w);
    if (q->query.interval != INTERVAL_NONE) {
        json_put_key(w, "interval");
        json_put_bytes(w, row->interval_start);
    }
    for (size_t i = 0; i < q->query.group_count; i++) {
        json_put_key_bytes(w, q->group_names[i]);
        put_group(a, row, i);
    }
    for (size_t i = 0; i < q->metric_count; i++) {
        json_put_key_bytes(w, q->metric_names[i]);
        put_number(w, row, i);
    }
    if (row->is_other) {
        json_put_key(w, "isOther");
        json_put_bool(w, true);
    }
    if (a->told)
        put_source(w, kept);
    json_object_close(w);
}

static void put_names(struct json_writer *w, const char *key, const struct bytes *names,
                      size_t count)
{
    json_put_key(w, key);
    json_array_open(w);
    for (size_t i = 0; i < count; i++)
        json_put_bytes(w, names[i]);
    json_array_close(w);
}

static void put_json(struct answer *a)
{
    const struct question *q = a->question;
    a->writer = json_writer_make(&a->out);
    json_object_open(&a->writer);
    put_names(&a->writer, "groupBy", q->group_names, q->query.group_count);
    put_names(&a->writer, "metrics", q->metric_names, q->metric_count);
    json_put_key(&a->writer, "names");
    json_put_string(&a->writer, privacy_name(q->names));
    if (q->names == PRIVACY_COHORTS) {
        json_put_key(&a->writer, "withheldRows");
        json_put_uint(&a->writer, a->withheld);
    }
    json_put_key(&a->writer, "rows");
    json_array_open(&a->writer);
    for (size_t i = 0; i < a->table.count && json_writer_ok(&a->writer); i++) {
        arena_reset(&a->shown);
        if (!a->table.rows[i].withheld)
            put_json_row(a, &a->table.rows[i]);
    }
    json_array_close(&a->writer);
    json_object_close(&a->writer);
    a->fits = json_writer_ok(&a->writer);
}

/* ---- As CSV ---- */

static bool put_separator(struct answer *a, size_t column)
{
    return column == 0 || buffer_append_byte(&a->out, ',');
}

static bool put_csv_number(struct buffer *out, const struct aggregate_row *row, size_t i)
{
    if (row->is_integer[i])
        return buffer_append_format(out, "%lld", (long long)row->integers[i]);
    return !isfinite(row->numbers[i]) || buffer_append_format(out, "%.17g", row->numbers[i]);
}

static bool put_csv_row(struct answer *a, const struct table_row *kept)
{
    const struct question *q = a->question;
    const struct aggregate_row *row = &kept->row;
    size_t column = 0;
    bool fits = true;
    if (q->query.interval != INTERVAL_NONE)
        fits = put_separator(a, column++) && buffer_append(&a->out, row->interval_start);
    for (size_t i = 0; i < q->query.group_count && fits; i++)
        fits = put_separator(a, column++) && csv_put_text(&a->out, shown_group(a, row, i));
    for (size_t i = 0; i < q->metric_count && fits; i++)
        fits = put_separator(a, column++) && put_csv_number(&a->out, row, i);
    char sources[48];
    usage_sources_text(kept->sources, sources);
    if (fits && a->told)
        fits =
            buffer_append_format(&a->out, ",%s,%s", sources, kept->provisional ? "true" : "false");
    return fits && buffer_append_text(&a->out, "\r\n");
}

static void put_csv(struct answer *a)
{
    const struct question *q = a->question;
    size_t column = 0;
    a->fits = true;
    if (q->query.interval != INTERVAL_NONE)
        a->fits = put_separator(a, column++) && buffer_append_text(&a->out, "interval");
    for (size_t i = 0; i < q->query.group_count && a->fits; i++)
        a->fits = put_separator(a, column++) && csv_put_text(&a->out, q->group_names[i]);
    for (size_t i = 0; i < q->metric_count && a->fits; i++)
        a->fits = put_separator(a, column++) && csv_put_text(&a->out, q->metric_names[i]);
    a->fits = a->fits && buffer_append_text(&a->out, a->told ? ",source,provisional\r\n" : "\r\n");
    for (size_t i = 0; i < a->table.count && a->fits; i++) {
        arena_reset(&a->shown);
        a->fits = a->table.rows[i].withheld || put_csv_row(a, &a->table.rows[i]);
    }
}

/* ---- The handler ---- */

void query_aggregate(void *context, struct route_call *call)
{
    static const char smaller[] = "group by less, narrow from and to, or ask for top=100";
    struct query *q = context;
    struct error err = {0};
    struct question question = {0};
    if (!question_read(q, call, &question, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    struct answer a = {.question = &question,
                       .people = q->people,
                       .shown = {.max_bytes = 4 * MIB},
                       .fits = true,
                       .out = {.max_bytes = ANSWER_MAX_BYTES}};
    table_init(&a.table, question.query.group_count, question.query.metric_count, ANSWER_MAX_BYTES);
    bool csv = query_wants_csv(call->request), done = ask(q, &a, &err);
    if (done && a.fits && csv)
        put_csv(&a);
    else if (done && a.fits)
        put_json(&a);
    done = done && (!csv || query_note(q, call, "export", &err));
    if (!done) {
        if (err.kind == FAIL_TOO_LARGE)
            error_remedy(&err, "%s", smaller);
        query_answer_failure(q, call, &err);
    } else if (!a.fits) {
        answer_error(call->exchange, 400, "too_large", "the answer is too large", smaller);
    } else if (csv) {
        answer_content(call->exchange, 200, "text/csv; charset=utf-8", buffer_bytes(&a.out));
    } else {
        answer_json(call->exchange, buffer_bytes(&a.out));
    }
    arena_clear(&a.shown);
    table_clear(&a.table);
    buffer_clear(&a.out);
}
