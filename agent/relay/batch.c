#include "agent/relay/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/otlp/otlp.h"
#include "core/otlp/rewrite.h"

struct batch *batch_create(enum otlp_signal signal, unsigned person, size_t max_bytes)
{
    struct batch *b = xcalloc(1, sizeof *b);
    b->signal = signal;
    b->person = person;
    b->body.max_bytes = max_bytes;
    return b;
}

void batch_destroy(struct batch *b)
{
    if (!b)
        return;
    buffer_clear(&b->body);
    free(b->records);
    free(b);
}

static void reserve_records(struct batch *b, size_t count)
{
    if (count <= b->record_capacity)
        return;
    b->record_capacity = count < 8 ? 8 : count * 2;
    b->records = xrealloc(b->records, b->record_capacity * sizeof *b->records);
}

void batch_close_record(struct batch *b, struct batch_record record)
{
    reserve_records(b, b->record_count + 1);
    record.end = b->body.len;
    b->records[b->record_count++] = record;
}

uint64_t batch_first(const struct batch *b)
{
    return b->records[0].covers_from;
}

uint64_t batch_last(const struct batch *b)
{
    return b->records[b->record_count - 1].sequence;
}

uint64_t batch_items(const struct batch *b)
{
    uint64_t items = 0;
    for (size_t i = 0; i < b->record_count; i++)
        items += b->records[i].item_count;
    return items;
}

struct bytes batch_payload(const struct batch *b, size_t i)
{
    size_t start = i == 0 ? 0 : b->records[i - 1].end;
    return bytes_make(b->body.data + start, b->records[i].end - start);
}

/* A batch like this one, without its records. */
static struct batch *sibling_of(const struct batch *b)
{
    struct batch *s = batch_create(b->signal, b->person, b->body.max_bytes);
    s->failures = b->failures;
    s->failure_mark = b->failure_mark;
    s->strikes = b->strikes;
    s->not_before_ms = b->not_before_ms;
    s->is_piece = b->is_piece;
    s->set_aside_id = b->set_aside_id;
    return s;
}

struct batch *batch_split(struct batch *b, size_t at)
{
    assert(at > 0 && at < b->record_count);
    struct batch *rest = sibling_of(b);
    size_t cut = b->records[at - 1].end;
    bool fits = buffer_append(&rest->body, bytes_make(b->body.data + cut, b->body.len - cut));
    assert(fits);
    (void)fits;

    rest->record_count = b->record_count - at;
    reserve_records(rest, rest->record_count);
    memcpy(rest->records, b->records + at, rest->record_count * sizeof *rest->records);
    for (size_t i = 0; i < rest->record_count; i++)
        rest->records[i].end -= cut;
    b->record_count = at;
    b->body.len = cut;
    return rest;
}

struct batch *batch_cut_inside(struct batch *b, struct error *err)
{
    assert(b->record_count == 1);
    struct batch *second = sibling_of(b);
    struct buffer first = {.max_bytes = b->body.max_bytes};
    uint64_t first_items = 0;
    uint64_t second_items = 0;
    if (!otlp_split_request(b->signal, buffer_bytes(&b->body), &first, &second->body, err) ||
        !otlp_check(b->signal, buffer_bytes(&first), &first_items, err) ||
        !otlp_check(b->signal, buffer_bytes(&second->body), &second_items, err)) {
        buffer_clear(&first);
        batch_destroy(second);
        return NULL;
    }
    buffer_clear(&b->body);
    b->body = first;
    b->is_piece = second->is_piece = true;

    struct batch_record record = b->records[0];
    record.item_count = (uint32_t)second_items;
    batch_close_record(second, record);
    b->records[0].item_count = (uint32_t)first_items;
    b->records[0].end = b->body.len;
    return second;
}
