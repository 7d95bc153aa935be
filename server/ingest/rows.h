/* A decoded request: its rows in an arena. Private to server/ingest. Pure. */
#ifndef SERVER_INGEST_ROWS_H
#define SERVER_INGEST_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/answer.h"
#include "core/otlp/signal.h"
#include "server/message/mapping.h"
#include "server/store/messages.h"

struct rows {
    struct arena arena;
    struct message *messages;
    size_t message_count;
    struct usage_delta *usage;
    size_t usage_count;
    uint64_t records;  /* in the request */
    uint64_t rejected; /* records for which there was no room */
};

/*
 * Decodes and maps a whole request. FAIL_INVALID when it is malformed, FAIL_TOO_LARGE when
 * its protobuf form passes `max_bytes`. What a request grows to is bounded: records
 * that no longer fit are counted in `rejected`. rows_clear() frees, in any case.
 */
MUST_USE bool rows_decode(enum otlp_signal signal, enum otlp_encoding encoding, struct bytes body,
                          size_t max_bytes, const struct message_context *context, struct rows *out,
                          struct error *err);
void rows_clear(struct rows *rows);

#endif
