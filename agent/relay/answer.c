#include "agent/relay/answer.h"

#include <stdio.h>

/* Hotel and office portals answer everything with 200 and a page. */
static bool is_web_page(const struct http_result *result)
{
    struct bytes type = http_result_header(result, "content-type");
    struct bytes body = result->body;
    while (body.len > 0 && (body.data[0] == ' ' || body.data[0] == '\n' || body.data[0] == '\r' ||
                            body.data[0] == '\t')) {
        body.data++;
        body.len--;
    }
    struct bytes kind = bytes_make(type.data, type.len < 9 ? type.len : 9);
    return body.len > 0 && (bytes_equal_ignoring_case(kind, "text/html") || body.data[0] == '<');
}

enum answer answer_of(const struct http_result *result, bool has_batch_ids)
{
    if (result->stage != HTTP_STAGE_DONE)
        return ANSWER_LATER;
    int status = result->status;
    if (status >= 200 && status < 300)
        return is_web_page(result) ? ANSWER_ODD : ANSWER_TAKEN;
    if (status >= 500)
        return ANSWER_LATER;
    switch (status) {
    case 401:
    case 403:
        return ANSWER_AUTH;
    case 407: /* the proxy's credentials, not the destination's */
    case 408:
    case 425:
    case 429:
        return ANSWER_LATER;
    case 409:
        return has_batch_ids ? ANSWER_OVERLAP : ANSWER_BAD;
    case 413:
        return ANSWER_TOO_LARGE;
    default:
        return status >= 400 ? ANSWER_BAD : ANSWER_ODD;
    }
}

static enum otlp_encoding encoding_of(const struct http_result *result)
{
    enum otlp_encoding encoding = OTLP_PROTOBUF;
    (void)otlp_encoding_of(http_result_header(result, "content-type"), &encoding);
    return encoding;
}

void answer_partial_success(const struct http_result *result, struct otlp_partial_success *out)
{
    *out = (struct otlp_partial_success){0};
    if (result->body.len == 0)
        return;
    if (!otlp_read_response(encoding_of(result), result->body, out) || out->rejected < 0)
        *out = (struct otlp_partial_success){0};
}

static const char *stage_text(enum http_stage stage)
{
    switch (stage) {
    case HTTP_STAGE_RESOLVE:
        return "name not found";
    case HTTP_STAGE_CONNECT:
        return "no connection";
    case HTTP_STAGE_TLS:
        return "TLS failed";
    default:
        return "no answer";
    }
}

/* Someone else's text in our log: one line, printable. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

void answer_describe(const struct http_result *result, char *out, size_t size)
{
    enum { SHOWN = 120 };
    if (result->stage != HTTP_STAGE_DONE) {
        snprintf(out, size, "%s: %s", stage_text(result->stage), result->error);
    } else if (result->status < 400) {
        snprintf(out, size, "HTTP %d with a web page or redirect: not an OTLP receiver",
                 result->status);
    } else {
        struct bytes message = otlp_read_status_message(encoding_of(result), result->body);
        int shown = message.len < SHOWN ? (int)message.len : SHOWN;
        snprintf(out, size, "HTTP %d%s%.*s", result->status, shown > 0 ? ": " : "", shown,
                 shown > 0 ? (const char *)message.data : "");
    }
    make_printable(out);
}
