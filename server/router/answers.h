/* Answers of the API: JSON, and errors that all look alike. */
#ifndef SERVER_ROUTER_ANSWERS_H
#define SERVER_ROUTER_ANSWERS_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/http/server.h"

/*
 * {"error":{"code":…,"message":…,"fix":…}}. `code` is stable and for programs
 * ("unknown_field"); `fix` may be NULL.
 */
void answer_error(struct http_exchange *exchange, int status, const char *code, const char *message,
                  const char *fix);

/* As above, with Retry-After. */
void answer_error_later(struct http_exchange *exchange, int status, const char *code,
                        const char *message, uint32_t retry_after_s);

/* The status follows from the kind: 400, 403, 404, 413, 503, else 500. */
void answer_failure(struct http_exchange *exchange, const struct error *err);

/* Appends the JSON body alone, for struct http_handlers.make_error. */
void answer_error_body(const char *code, const char *message, const char *fix, struct buffer *out);

/* application/json that no cache keeps. */
void answer_json(struct http_exchange *exchange, struct bytes json);
/* `content_type` with what else browsers should be told. */
void answer_content(struct http_exchange *exchange, int status, const char *content_type,
                    struct bytes body);

/* A table's cell: quoted where RFC 4180 asks for it, and never taken for a formula by a
 * spreadsheet: text that begins with = + - @ tab or return gets a ' in front. */
MUST_USE bool csv_put_text(struct buffer *out, struct bytes text);

#endif
