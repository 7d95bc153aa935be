#include "tests/support/make_logs.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/otlp/wire.h"

enum { CEILING = 64 * 1024 * 1024 };

static void put_attribute(struct buffer *message, uint32_t field, const char *key,
                          const char *value)
{
    struct buffer any = {.max_bytes = CEILING}, pair = {.max_bytes = CEILING};
    ck_assert(wire_put_bytes(&any, 1, bytes_of(value)) && wire_put_bytes(&pair, 1, bytes_of(key)) &&
              wire_put_bytes(&pair, 2, buffer_bytes(&any)) &&
              wire_put_bytes(message, field, buffer_bytes(&pair)));
    buffer_clear(&any);
    buffer_clear(&pair);
}

static void put_record(struct buffer *scope_logs, unsigned mark, size_t padding)
{
    struct buffer record = {.max_bytes = CEILING}, any = {.max_bytes = CEILING};
    char text[32];
    char *body = xmalloc(padding + 1);
    memset(body, 'x', padding);
    snprintf(text, sizeof text, "M%u", mark);
    ck_assert(wire_put_i64(&record, 1, UINT64_C(1700000000000000000) + mark) &&
              wire_put_bytes(&any, 1, bytes_make(body, padding)) &&
              wire_put_bytes(&record, 5, buffer_bytes(&any)));
    put_attribute(&record, 6, "mark", text);
    ck_assert(wire_put_bytes(scope_logs, 2, buffer_bytes(&record)));
    free(body);
    buffer_clear(&record);
    buffer_clear(&any);
}

void make_logs(unsigned first, unsigned count, size_t padding, const char *resource_key,
               const char *resource_value, struct buffer *out)
{
    struct buffer resource = {.max_bytes = CEILING}, scope_logs = {.max_bytes = CEILING},
                  resource_logs = {.max_bytes = CEILING};
    put_attribute(&resource, 1, "service.name", "claude-code");
    if (resource_key)
        put_attribute(&resource, 1, resource_key, resource_value);
    for (unsigned i = 0; i < count; i++)
        put_record(&scope_logs, first + i, padding);
    out->max_bytes = CEILING;
    ck_assert(wire_put_bytes(&resource_logs, 1, buffer_bytes(&resource)) &&
              wire_put_bytes(&resource_logs, 2, buffer_bytes(&scope_logs)) &&
              wire_put_bytes(out, 1, buffer_bytes(&resource_logs)));
    buffer_clear(&resource);
    buffer_clear(&scope_logs);
    buffer_clear(&resource_logs);
}
