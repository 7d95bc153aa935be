/* GET /api/v1/audit, and what the API itself writes there. */
#include <stdio.h>
#include <stdlib.h>

#include "core/crypto/crypto.h"
#include "core/json/writer.h"
#include "server/query/handlers.h"
#include "server/query/instant.h"
#include "server/router/note.h"
#include "server/store/audit.h"

enum { DEFAULT_TAKE = 100, MAX_TAKE = 1000 };

bool query_note(const struct query *q, struct route_call *call, const char *action,
                struct error *err)
{
    return route_note_question(q->control, q->clock, call, action, err);
}

struct audit_page {
    struct json_writer w;
    uint32_t wanted, seen;
    int64_t last_id;
    bool more;
};

static bool put_entry(void *context, const struct audit_entry *entry)
{
    struct audit_page *p = context;
    char hash[2 * AUDIT_HASH_BYTES + 1];
    if (p->seen == p->wanted) {
        p->more = true;
        return false;
    }
    p->seen++;
    p->last_id = entry->id;
    crypto_hex(bytes_make(entry->hash, AUDIT_HASH_BYTES), hash);
    json_object_open(&p->w);
    json_put_key(&p->w, "id");
    json_put_int(&p->w, entry->id);
    json_put_key(&p->w, "at");
    json_put_time(&p->w, entry->at_ns);
    json_put_key(&p->w, "who");
    json_put_string(&p->w, entry->who[0] ? entry->who : NULL);
    json_put_key(&p->w, "role");
    json_put_string(&p->w, entry->role[0] ? entry->role : NULL);
    json_put_key(&p->w, "action");
    json_put_string(&p->w, entry->action);
    json_put_key(&p->w, "subject");
    json_put_string(&p->w, entry->subject);
    json_put_key(&p->w, "source");
    json_put_string(&p->w, entry->source);
    json_put_key(&p->w, "hash");
    json_put_string(&p->w, hash);
    json_object_close(&p->w);
    return json_writer_ok(&p->w);
}

static bool read_instant(const struct arguments *query, const char *name, uint64_t *out,
                         struct error *err)
{
    struct bytes text = arguments_get(query, name);
    if (text.len == 0 || instant_parse(text, out))
        return true;
    return error_set(err, FAIL_INVALID, "'%s' must be a date or an RFC 3339 time", name);
}

static bool read_question(const struct route_call *call, struct audit_query *where,
                          struct error *err)
{
    uint64_t take = DEFAULT_TAKE, before = 0;
    *where = (struct audit_query){
        .who = (const char *)arguments_get(&call->query, "who").data,
        .action = (const char *)arguments_get(&call->query, "action").data,
    };
    if (!arguments_get_number(&call->query, "take", 1, MAX_TAKE, &take, err) ||
        !arguments_get_number(&call->query, "cursor", 1, INT64_MAX, &before, err) ||
        !read_instant(&call->query, "from", &where->from_ns, err) ||
        !read_instant(&call->query, "to", &where->to_ns, err))
        return false;
    where->before_id = (int64_t)before;
    where->max = (uint32_t)take + 1;
    return true;
}

void query_audit(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct audit_query where;
    struct buffer out = {.max_bytes = 16 * MIB};
    if (!read_question(call, &where, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    struct audit_page page = {.w = json_writer_make(&out), .wanted = where.max - 1};
    json_object_open(&page.w);
    json_put_key(&page.w, "items");
    json_array_open(&page.w);
    bool done = q->control->kind->audit->list(q->control, &where, put_entry, &page, &err);
    json_array_close(&page.w);
    json_put_key(&page.w, "nextCursor");
    char cursor[24];
    snprintf(cursor, sizeof cursor, "%lld", (long long)page.last_id);
    json_put_string(&page.w, page.more ? cursor : NULL);
    json_object_close(&page.w);
    if (!done)
        query_answer_failure(q, call, &err);
    else if (json_writer_ok(&page.w))
        answer_json(call->exchange, buffer_bytes(&out));
    else
        answer_error(call->exchange, 400, "too_large", "the page is too large",
                     "ask for fewer entries with take=");
    buffer_clear(&out);
}
