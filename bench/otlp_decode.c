/*
 * What core/otlp costs a record, against a plain copy of the same bytes.
 *
 *   gcc -O2 -DNDEBUG -I. bench/otlp_decode.c core/otlp/[a-z]*.c
 * core/json/{number,reader,utf8,writer}.c base/{bytes,error,memory}.c -lm -o build/otlp_decode &&
 * build/otlp_decode
 *
 * One logs request of 1000 records of about 0.7 KB, 20 attributes each, as the relay receives them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/otlp/otlp.h"
#include "core/otlp/rewrite.h"
#include "core/otlp/wire.h"

enum { RECORDS = 1000, ROUNDS = 200, TRIES = 5 };

static struct buffer request = {.max_bytes = 16 * MIB}, out = {.max_bytes = 16 * MIB};
static uint64_t seen;

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void put_attribute(struct buffer *message, uint32_t field, int index, uint64_t number)
{
    static const char *const keys[] = {
        "user.id",      "session.id",      "organization.id", "user.account_uuid", "terminal.type",
        "event.name",   "event.timestamp", "event.sequence",  "prompt.id",         "model",
        "input_tokens", "output_tokens",   "cost_usd",        "cache_read_tokens", "duration_ms",
        "request_id",   "speed",           "query_source",    "tool_use_id",       "decision"};
    uint8_t memory[2][256];
    struct buffer value = {.data = memory[0], .capacity = 256, .max_bytes = 256};
    struct buffer pair = {.data = memory[1], .capacity = 256, .max_bytes = 256};
    if (index % 3 == 2)
        must(wire_put_varint(&value, 3, number * 37));
    else
        must(wire_put_bytes(&value, 1, bytes_of("b90046f1-e10c-4a41-9b2e-0000")));
    must(wire_put_bytes(&pair, 1, bytes_of(keys[index % 20])));
    must(wire_put_bytes(&pair, 2, buffer_bytes(&value)));
    must(wire_put_bytes(message, field, buffer_bytes(&pair)));
}

static void build_request(void)
{
    struct buffer resource = {.max_bytes = MIB}, record = {.max_bytes = MIB},
                  scope = {.max_bytes = 8 * MIB}, all = {.max_bytes = 8 * MIB};
    for (int i = 0; i < 5; i++)
        put_attribute(&resource, 1, i, 1);
    for (uint64_t i = 0; i < RECORDS; i++) {
        buffer_reset(&record);
        must(wire_put_i64(&record, 1, UINT64_C(1795216551952000000) + i));
        must(wire_put_bytes(&record, 5,
                            bytes_of("\x0a\x17"
                                     "claude_code.api_request")));
        for (int a = 0; a < 20; a++)
            put_attribute(&record, 6, a, i);
        must(wire_put_bytes(&scope, 2, buffer_bytes(&record)));
    }
    must(wire_put_bytes(&all, 1, buffer_bytes(&resource)));
    must(wire_put_bytes(&all, 2, buffer_bytes(&scope)));
    must(wire_put_bytes(&request, 1, buffer_bytes(&all)));
    buffer_clear(&resource);
    buffer_clear(&record);
    buffer_clear(&scope);
    buffer_clear(&all);
}

static void do_copy(void)
{
    buffer_reset(&out);
    must(buffer_append(&out, buffer_bytes(&request)));
}

static void do_check(void)
{
    struct error err;
    uint64_t records;
    must(otlp_check(OTLP_LOGS, buffer_bytes(&request), &records, &err));
    seen += records;
}

static bool visit(void *context, const struct otlp_log *log)
{
    struct otlp_attribute_reader reader = otlp_attributes_start(log->attributes);
    struct otlp_attribute attribute;
    (void)context;
    while (otlp_attributes_next(&reader, &attribute))
        seen += attribute.key.len + (uint64_t)attribute.value.integer;
    return true;
}

static void do_walk(void)
{
    struct error err;
    must(otlp_walk_logs(buffer_bytes(&request), visit, NULL, &err));
}

static void rewrite(const struct otlp_rewrite *change)
{
    struct error err;
    buffer_reset(&out);
    must(otlp_rewrite_request(OTLP_LOGS, buffer_bytes(&request), change, &out, &err));
    seen += out.len;
}

static const struct otlp_stamp stamps[] = {{"user.email", "alice@example.com"},
                                           {"work_email", "alice@example.com"},
                                           {"device.id", "00000000-0000-0000-0000-000000000000"}};

static void do_stamp(void)
{
    rewrite(&(struct otlp_rewrite){.stamps = stamps, .stamp_count = 3});
}

static void do_drop(void)
{
    static const char *const keys[] = {"prompt", "session.id", "tool_input"};
    rewrite(&(struct otlp_rewrite){
        .stamps = stamps, .stamp_count = 3, .drop_keys = keys, .drop_count = 3});
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of CPU a record, the best of some tries. */
static double measure(void (*work)(void))
{
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = now_ns();
        for (int round = 0; round < ROUNDS; round++)
            work();
        double spent = (now_ns() - start) / ROUNDS / RECORDS;
        if (i == 0 || spent < best)
            best = spent;
    }
    return best;
}

int main(void)
{
    static const struct {
        const char *name;
        void (*work)(void);
    } works[] = {{"check", do_check},
                 {"walk, every attribute", do_walk},
                 {"rewrite, stamps", do_stamp},
                 {"rewrite, stamps and a dropped key in each record", do_drop}};
    build_request();
    double copy = measure(do_copy);
    printf("%zu bytes a record\n%-50s %8.1f ns\n", request.len / RECORDS, "plain copy", copy);
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        double spent = measure(works[i].work);
        printf("%-50s %8.1f ns  %5.1f x copy\n", works[i].name, spent, spent / copy);
    }
    buffer_clear(&request);
    buffer_clear(&out);
    return seen > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
