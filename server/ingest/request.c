#include "server/ingest/request.h"

static const char api_prefix[] = "/api/v1/otlp";

bool request_signal_of_path(struct bytes path, enum otlp_signal *out)
{
    struct bytes plain = path;
    if (bytes_starts_with(path, api_prefix))
        plain = bytes_make(path.data + (sizeof api_prefix - 1), path.len - (sizeof api_prefix - 1));
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        enum otlp_signal signal = (enum otlp_signal)i;
        if (bytes_equal_text(plain, otlp_signal_path(signal)) ||
            bytes_equal_text(path, otlp_signal_grpc_path(signal))) {
            *out = signal;
            return true;
        }
    }
    return false;
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_make(text.data + 1, text.len - 1);
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct bytes request_credential(const struct http_request *request)
{
    struct bytes value = trimmed(http_request_header(request, "authorization"));
    enum { SCHEME_LEN = 7 };
    if (value.len > SCHEME_LEN &&
        bytes_equal_ignoring_case(bytes_make(value.data, SCHEME_LEN), "Bearer "))
        return trimmed(bytes_make(value.data + SCHEME_LEN, value.len - SCHEME_LEN));
    return trimmed(http_request_header(request, "x-span-token"));
}

enum otlp_encoding request_encoding(const struct http_request *request)
{
    enum otlp_encoding encoding = OTLP_PROTOBUF;
    if (!request->is_grpc)
        (void)otlp_encoding_of(http_request_header(request, "content-type"), &encoding);
    return encoding;
}

/* ---- The relay's batch headers ---- */

static bool read_uuid(struct bytes text, char out[REQUEST_STREAM_BYTES])
{
    if (text.len != REQUEST_STREAM_BYTES - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= 'A' && c <= 'F')
            c = (uint8_t)(c + ('a' - 'A'));
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool fits = dash ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (!fits)
            return false;
        out[i] = (char)c;
    }
    out[text.len] = '\0';
    return true;
}

static bool read_number(struct bytes text, uint64_t *out)
{
    if (text.len == 0 || text.len > 20)
        return false;
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return true;
}

bool request_batch_range(const struct http_request *request, struct batch_range *out,
                         struct error *err)
{
    *out = (struct batch_range){0};
    struct bytes stream = http_request_header(request, "x-batch-stream");
    struct bytes first = http_request_header(request, "x-batch-first");
    struct bytes last = http_request_header(request, "x-batch-last");
    if (!stream.data && !first.data && !last.data)
        return true;
    if (!stream.data || !first.data || !last.data)
        return error_set(err, FAIL_INVALID,
                         "X-Batch-Stream, X-Batch-First and X-Batch-Last come all or none");
    if (!read_uuid(trimmed(stream), out->stream))
        return error_set(err, FAIL_INVALID, "X-Batch-Stream is not a UUID");
    if (!read_number(trimmed(first), &out->first) || !read_number(trimmed(last), &out->last))
        return error_set(err, FAIL_INVALID, "X-Batch-First and X-Batch-Last are not numbers");
    if (out->first > out->last)
        return error_set(err, FAIL_INVALID, "X-Batch-First is greater than X-Batch-Last");
    return true;
}
