/* Recorded telemetry of the real Claude Code (tests/data/otlp), ready to be mapped and stored. */
#ifndef TESTS_SERVER_CAPTURES_H
#define TESTS_SERVER_CAPTURES_H

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "core/otlp/otlp.h"
#include "server/message/mapping.h"
#include "server/store/messages.h"

/* EXPECTED.json and one capture as protobuf, whatever form it was recorded in. They stop the test
 * on failure; the caller frees. */
cJSON *captures_expected(void);
void captures_load(const char *file, struct buffer *out);
enum otlp_signal captures_signal(const cJSON *expected_file);

/* The rows or points of one request. Clear with captured_clear(). */
struct captured {
    struct arena arena;
    struct message *messages;
    size_t message_count;
    struct usage_delta *usage;
    size_t usage_count;
};
void captured_map(enum otlp_signal signal, struct bytes request,
                  const struct message_context *context, struct captured *out);
void captured_clear(struct captured *captured);

/* Puts it as one batch without a relay. */
struct put_result captured_put(struct message_store *store, const struct captured *captured);

#endif
