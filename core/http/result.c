/* Reading an answer's headers. core/http/client.h has the contract. */
#include "base/clock.h"
#include "core/http/client.h"
#include "core/http/date.h"

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_make(text.data + 1, text.len - 1);
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t' ||
                            text.data[text.len - 1] == '\r'))
        text.len--;
    return text;
}

struct bytes http_result_header(const struct http_result *result, const char *name)
{
    struct bytes rest = result->headers;
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t line_len = end ? (size_t)(end - rest.data) : rest.len;
        const uint8_t *colon = memchr(rest.data, ':', line_len);
        size_t name_len = colon ? (size_t)(colon - rest.data) : 0;
        if (colon && bytes_equal_ignoring_case(bytes_make(rest.data, name_len), name))
            return trimmed(bytes_make(colon + 1, line_len - name_len - 1));
        size_t used = end ? line_len + 1 : line_len;
        rest = bytes_make(rest.data + used, rest.len - used);
    }
    return bytes_make(NULL, 0);
}

/* A count of seconds, at most a year of them: more is a server's mistake. */
static bool parse_seconds(struct bytes text, uint64_t *seconds)
{
    const uint64_t year_s = UINT64_C(366) * 86400;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
        if (value > year_s)
            value = year_s;
    }
    *seconds = value;
    return text.len > 0;
}

bool http_result_retry_after_ms(const struct http_result *result, uint64_t wall_ns,
                                uint64_t *wait_ms)
{
    struct bytes value = http_result_header(result, "Retry-After");
    uint64_t seconds;
    if (parse_seconds(value, &seconds)) {
        *wait_ms = seconds * 1000;
        return true;
    }
    if (!http_date_parse(value, &seconds))
        return false;
    uint64_t now_ms = wall_ns / NS_PER_MS;
    *wait_ms = seconds * 1000 > now_ms ? seconds * 1000 - now_ms : 0;
    return true;
}
