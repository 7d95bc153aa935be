#include "tests/server/captures.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "core/otlp/json.h"
#include "platform/fs.h"
#include "tests/support/expect.h"

enum { CAPTURE_BYTES_MAX = 16 * 1024 * 1024 };

static void read_file(const char *name, struct buffer *out)
{
    char path[512];
    struct error err;
    snprintf(path, sizeof path, "%s/otlp/%s", TEST_DATA_DIR, name);
    out->max_bytes = CAPTURE_BYTES_MAX;
    expect_ok(fs_read_file(&fs_real, path, out, &err));
}

cJSON *captures_expected(void)
{
    struct buffer text = {0};
    read_file("EXPECTED.json", &text);
    cJSON *all = cJSON_Parse(buffer_text(&text));
    ck_assert_ptr_nonnull(all);
    buffer_clear(&text);
    return all;
}

static void gunzip(struct buffer *data)
{
    z_stream z = {.next_in = data->data, .avail_in = (unsigned)data->len};
    struct buffer plain = {.max_bytes = CAPTURE_BYTES_MAX};
    int code = Z_OK;
    ck_assert_int_eq(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    while (code == Z_OK) {
        ck_assert(buffer_reserve(&plain, 65536));
        z.next_out = plain.data + plain.len;
        z.avail_out = 65536;
        code = inflate(&z, Z_NO_FLUSH);
        plain.len += 65536 - z.avail_out;
    }
    ck_assert_int_eq(code, Z_STREAM_END);
    inflateEnd(&z);
    buffer_clear(data);
    *data = plain;
}

enum otlp_signal captures_signal(const cJSON *file)
{
    enum otlp_signal signal;
    const char *name = cJSON_GetObjectItemCaseSensitive(file, "signal")->valuestring;
    ck_assert(otlp_signal_of_name(bytes_of(name), &signal));
    return signal;
}

void captures_load(const char *file, struct buffer *out)
{
    struct error err;
    read_file(file, out);
    if (out->len > 2 && out->data[0] == 0x1f && out->data[1] == 0x8b)
        gunzip(out);
    if (out->len && out->data[0] == '{') {
        struct buffer protobuf = {.max_bytes = CAPTURE_BYTES_MAX};
        enum otlp_signal signal = strstr(file, "logs")      ? OTLP_LOGS
                                  : strstr(file, "metrics") ? OTLP_METRICS
                                                            : OTLP_TRACES;
        expect_ok(otlp_json_to_protobuf(signal, buffer_bytes(out), &protobuf, &err));
        buffer_clear(out);
        *out = protobuf;
    }
}

struct mapping {
    struct captured *out;
    const struct message_context *context;
};

static bool map_log(void *context, const struct otlp_log *log)
{
    struct mapping *m = context;
    ck_assert(message_from_log(log, m->context, &m->out->arena,
                               &m->out->messages[m->out->message_count++]));
    return true;
}

static bool map_span(void *context, const struct otlp_span *span)
{
    struct mapping *m = context;
    ck_assert(message_from_span(span, m->context, &m->out->arena,
                                &m->out->messages[m->out->message_count++]));
    return true;
}

static bool map_point(void *context, const struct otlp_point *point)
{
    struct mapping *m = context;
    bool kept;
    ck_assert(usage_from_point(point, m->context, &m->out->arena,
                               &m->out->usage[m->out->usage_count], &kept));
    m->out->usage_count += kept;
    return true;
}

void captured_map(enum otlp_signal signal, struct bytes request,
                  const struct message_context *context, struct captured *out)
{
    struct error err;
    uint64_t records;
    struct mapping m = {out, context};
    *out = (struct captured){.arena = {.max_bytes = 256 * MIB}};
    expect_ok(otlp_check(signal, request, &records, &err));
    out->messages = arena_alloc_many(&out->arena, records + 1, sizeof *out->messages);
    out->usage = arena_alloc_many(&out->arena, records + 1, sizeof *out->usage);
    if (signal == OTLP_LOGS)
        expect_ok(otlp_walk_logs(request, map_log, &m, &err));
    else if (signal == OTLP_TRACES)
        expect_ok(otlp_walk_spans(request, map_span, &m, &err));
    else
        expect_ok(otlp_walk_points(request, map_point, &m, &err));
}

void captured_clear(struct captured *captured)
{
    arena_clear(&captured->arena);
}

struct put_result captured_put(struct message_store *store, const struct captured *captured)
{
    struct error err;
    struct put_result result;
    struct message_batch batch = {
        .system_id = 1,
        .system = bytes_of("test"),
        .token_id = 1,
        .received_ns = UINT64_C(1795216600000000000),
        .messages = captured->messages,
        .message_count = captured->message_count,
        .usage = captured->usage,
        .usage_count = captured->usage_count,
    };
    expect_ok(store->kind->put(store, &batch, 1, &result, &err));
    return result;
}
