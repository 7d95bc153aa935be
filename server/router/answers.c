#include "server/router/answers.h"

#include <stdio.h>

#include "core/json/writer.h"

enum { ERROR_BODY_BYTES = 8 * 1024 };

void answer_error_body(const char *code, const char *message, const char *fix, struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    json_object_open(&w);
    json_put_key(&w, "error");
    json_object_open(&w);
    json_put_key(&w, "code");
    json_put_string(&w, code);
    json_put_key(&w, "message");
    json_put_string(&w, message);
    if (fix && fix[0]) {
        json_put_key(&w, "fix");
        json_put_string(&w, fix);
    }
    json_object_close(&w);
    json_object_close(&w);
    if (!json_writer_ok(&w))
        buffer_reset(out);
}

static void respond_error(struct http_exchange *exchange, int status, const char *code,
                          const char *message, const char *fix, const char *const *headers)
{
    struct buffer body = {.max_bytes = ERROR_BODY_BYTES};
    answer_error_body(code, message, fix, &body);
    http_respond(exchange, &(struct http_answer){.status = status,
                                                 .content_type = "application/json",
                                                 .body = buffer_bytes(&body),
                                                 .headers = headers});
    buffer_clear(&body);
}

static const char *const no_store[] = {"cache-control", "no-store", NULL};

void answer_error(struct http_exchange *exchange, int status, const char *code, const char *message,
                  const char *fix)
{
    static const char *const challenge[] = {"cache-control", "no-store", "www-authenticate",
                                            "Bearer", NULL};
    respond_error(exchange, status, code, message, fix, status == 401 ? challenge : no_store);
}

void answer_error_later(struct http_exchange *exchange, int status, const char *code,
                        const char *message, uint32_t retry_after_s)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", (unsigned)retry_after_s);
    respond_error(exchange, status, code, message, NULL,
                  (const char *const[]){"cache-control", "no-store", "retry-after", seconds, NULL});
}

void answer_failure(struct http_exchange *exchange, const struct error *err)
{
    switch (err->kind) {
    case FAIL_INVALID:
        answer_error(exchange, 400, "invalid", err->cause, err->remedy);
        return;
    case FAIL_DENIED:
        answer_error(exchange, 403, "forbidden", err->cause, err->remedy);
        return;
    case FAIL_NOT_FOUND:
        answer_error(exchange, 404, "not_found", err->cause, err->remedy);
        return;
    case FAIL_TOO_LARGE:
        answer_error(exchange, 400, "too_large", err->cause, err->remedy);
        return;
    case FAIL_BUSY:
        answer_error_later(exchange, 503, "too_slow_or_busy", err->cause, 2);
        return;
    case FAIL_NO_SPACE:
        answer_error_later(exchange, 503, "no_space", "the server's disk is full", 30);
        return;
    case FAIL_IO:
        answer_error_later(exchange, 503, "store_down", "the store does not answer", 2);
        return;
    default:
        /* The cause may name paths of this machine: it is for the log. */
        answer_error(exchange, 500, "internal", "the server could not do this", NULL);
    }
}

void answer_content(struct http_exchange *exchange, int status, const char *content_type,
                    struct bytes body)
{
    static const char *const headers[] = {"cache-control", "no-store", "x-content-type-options",
                                          "nosniff", NULL};
    http_respond(exchange, &(struct http_answer){.status = status,
                                                 .content_type = content_type,
                                                 .body = body,
                                                 .headers = headers});
}

void answer_json(struct http_exchange *exchange, struct bytes json)
{
    answer_content(exchange, 200, "application/json", json);
}

bool csv_put_text(struct buffer *out, struct bytes text)
{
    bool formula = text.len > 0 && memchr("=+-@\t\r", text.data[0], 6);
    bool quoted = formula;
    for (size_t i = 0; i < text.len && !quoted; i++)
        quoted = memchr("\",\r\n", text.data[i], 4) != NULL;
    if (!quoted)
        return buffer_append(out, text);
    bool good = buffer_append_byte(out, '"') && (!formula || buffer_append_byte(out, '\''));
    for (size_t i = 0; i < text.len && good; i++)
        good = (text.data[i] != '"' || buffer_append_byte(out, '"')) &&
               buffer_append_byte(out, text.data[i]);
    return good && buffer_append_byte(out, '"');
}
