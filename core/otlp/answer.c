#include "core/otlp/answer.h"

#include "core/json/reader.h"
#include "core/json/writer.h"
#include "core/otlp/wire.h"

/* Export…ServiceResponse 1, Export…PartialSuccess 1 and 2, google.rpc.Status 1 and 2. */
enum { PARTIAL_SUCCESS = 1, REJECTED = 1, ERROR_MESSAGE = 2, STATUS_CODE = 1, STATUS_MESSAGE = 2 };

static const char *const rejected_names[OTLP_SIGNAL_COUNT] = {
    [OTLP_LOGS] = "rejectedLogRecords",
    [OTLP_METRICS] = "rejectedDataPoints",
    [OTLP_TRACES] = "rejectedSpans",
};

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

bool otlp_encoding_of(struct bytes content_type, enum otlp_encoding *out)
{
    const uint8_t *parameters =
        content_type.len > 0 ? memchr(content_type.data, ';', content_type.len) : NULL;
    if (parameters)
        content_type.len = (size_t)(parameters - content_type.data);
    struct bytes type = trim(content_type);
    if (bytes_equal_ignoring_case(type, OTLP_PROTOBUF_TYPE))
        *out = OTLP_PROTOBUF;
    else if (bytes_equal_ignoring_case(type, OTLP_JSON_TYPE))
        *out = OTLP_JSON;
    else
        return false;
    return true;
}

const char *otlp_content_type(enum otlp_encoding encoding)
{
    return encoding == OTLP_JSON ? OTLP_JSON_TYPE : OTLP_PROTOBUF_TYPE;
}

static bool put_json_response(enum otlp_signal signal, int64_t rejected, const char *message,
                              struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    json_object_open(&w);
    if (rejected != 0 || message) {
        json_put_key(&w, "partialSuccess");
        json_object_open(&w);
        if (rejected != 0) {
            char text[24]; /* 64-bit integers are strings in OTLP/JSON */
            struct buffer number = {.data = (uint8_t *)text,
                                    .capacity = sizeof text,
                                    .max_bytes = sizeof text};
            struct json_writer digits = json_writer_make(&number);
            json_put_int(&digits, rejected);
            json_put_key(&w, rejected_names[signal]);
            json_put_bytes(&w, buffer_bytes(&number));
        }
        if (message) {
            json_put_key(&w, "errorMessage");
            json_put_string(&w, message);
        }
        json_object_close(&w);
    }
    json_object_close(&w);
    return json_writer_ok(&w);
}

bool otlp_put_response(enum otlp_signal signal, enum otlp_encoding encoding, int64_t rejected,
                       const char *message, struct buffer *out)
{
    size_t before = out->len;
    bool ok = true;
    if (encoding == OTLP_JSON) {
        ok = put_json_response(signal, rejected, message, out);
    } else if (rejected != 0 || message) {
        struct buffer partial = {.max_bytes = out->max_bytes};
        ok = (rejected == 0 || wire_put_varint(&partial, REJECTED, (uint64_t)rejected)) &&
             (!message || wire_put_bytes(&partial, ERROR_MESSAGE, bytes_of(message))) &&
             wire_put_bytes(out, PARTIAL_SUCCESS, buffer_bytes(&partial));
        buffer_clear(&partial);
    }
    if (!ok)
        out->len = before;
    return ok;
}

int otlp_grpc_code(int http_status)
{
    switch (http_status) {
    case 400:
    case 415:
    case 422:
    case 431:
        return 3; /* INVALID_ARGUMENT */
    case 401:
        return 16; /* UNAUTHENTICATED */
    case 403:
        return 7; /* PERMISSION_DENIED */
    case 404:
        return 5; /* NOT_FOUND */
    case 405:
    case 501:
    case 505:
        return 12; /* UNIMPLEMENTED */
    case 408:
    case 504:
        return 4; /* DEADLINE_EXCEEDED */
    case 409:
        return 10; /* ABORTED */
    case 413:
        return 8; /* RESOURCE_EXHAUSTED: not retried without RetryInfo */
    case 429:
    case 502:
    case 503:
        return 14; /* UNAVAILABLE: retried */
    case 500:
        return 13; /* INTERNAL */
    default:
        return http_status >= 200 && http_status < 300 ? 0 : 2; /* UNKNOWN */
    }
}

bool otlp_put_status(enum otlp_encoding encoding, int http_status, const char *message,
                     struct buffer *out)
{
    int code = otlp_grpc_code(http_status);
    size_t before = out->len;
    bool ok;
    if (encoding == OTLP_JSON) {
        struct json_writer w = json_writer_make(out);
        json_object_open(&w);
        json_put_key(&w, "code");
        json_put_int(&w, code);
        json_put_key(&w, "message");
        json_put_string(&w, message ? message : "");
        json_object_close(&w);
        ok = json_writer_ok(&w);
    } else {
        ok = wire_put_varint(out, STATUS_CODE, (uint64_t)code) &&
             wire_put_bytes(out, STATUS_MESSAGE, bytes_of(message));
    }
    if (!ok)
        out->len = before;
    return ok;
}

static bool read_partial(struct bytes message, struct otlp_partial_success *out)
{
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number == REJECTED && field.type == WIRE_VARINT)
            out->rejected = (int64_t)field.value;
        else if (field.number == ERROR_MESSAGE && field.type == WIRE_LEN)
            out->message = field.bytes;
    }
    return !r.failed;
}

static bool read_protobuf_response(struct bytes body, struct otlp_partial_success *out)
{
    struct wire_reader r = wire_reader_make(body);
    struct wire_field field;
    while (wire_next(&r, &field))
        if (field.number == PARTIAL_SUCCESS &&
            (field.type != WIRE_LEN || !read_partial(field.bytes, out)))
            return false;
    return !r.failed;
}

static bool is_rejected_name(struct bytes key)
{
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        if (json_string_equals(key, rejected_names[i]))
            return true;
    return false;
}

static bool read_json_partial(struct json_reader *r, struct otlp_partial_success *out)
{
    enum json_token token = json_next(r);
    if (token == JSON_NULL)
        return true;
    if (token != JSON_OBJECT_OPEN)
        return false;
    while ((token = json_next(r)) == JSON_KEY) {
        struct bytes key = r->span;
        bool rejected = is_rejected_name(key), message = json_string_equals(key, "errorMessage");
        if (!rejected && !message) {
            if (!json_skip_value(r))
                return false;
            continue;
        }
        token = json_next(r);
        if (rejected ? !json_int64(r->span, &out->rejected) : token != JSON_STRING)
            return false;
        if (message)
            out->message = r->span;
    }
    return token == JSON_OBJECT_CLOSE;
}

static bool read_json_response(struct bytes body, struct otlp_partial_success *out)
{
    struct json_reader r = json_reader_make(body);
    enum json_token token;
    if (json_next(&r) != JSON_OBJECT_OPEN)
        return false;
    while ((token = json_next(&r)) == JSON_KEY) {
        bool partial = json_string_equals(r.span, "partialSuccess");
        if (partial ? !read_json_partial(&r, out) : !json_skip_value(&r))
            return false;
    }
    return token == JSON_OBJECT_CLOSE && json_next(&r) == JSON_END;
}

bool otlp_read_response(enum otlp_encoding encoding, struct bytes body,
                        struct otlp_partial_success *out)
{
    *out = (struct otlp_partial_success){0};
    bool ok =
        encoding == OTLP_JSON ? read_json_response(body, out) : read_protobuf_response(body, out);
    if (!ok)
        *out = (struct otlp_partial_success){0};
    if (out->rejected < 0)
        out->rejected = 0;
    return ok;
}

static struct bytes read_json_message(struct bytes body)
{
    struct json_reader r = json_reader_make(body);
    struct bytes message = {0};
    if (json_next(&r) != JSON_OBJECT_OPEN)
        return message;
    while (json_next(&r) == JSON_KEY) {
        if (!json_string_equals(r.span, "message")) {
            if (!json_skip_value(&r))
                break;
        } else if (json_next(&r) == JSON_STRING) {
            message = r.span;
        } else {
            break;
        }
    }
    return message;
}

struct bytes otlp_read_status_message(enum otlp_encoding encoding, struct bytes body)
{
    if (encoding == OTLP_JSON)
        return read_json_message(body);
    struct wire_reader r = wire_reader_make(body);
    struct wire_field field;
    struct bytes message = {0};
    while (wire_next(&r, &field))
        if (field.number == STATUS_MESSAGE && field.type == WIRE_LEN)
            message = field.bytes;
    return r.failed ? bytes_make(NULL, 0) : message;
}
