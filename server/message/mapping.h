/*
 * OTLP records become Message rows and usage deltas.
 *
 *   otlp_log, otlp_span ──message_from_log, _from_span──▶ struct message
 *   otlp_point          ──usage_from_point──────────────▶ struct usage_delta
 *
 * The mapping is CONTRACT section 4's table; Codex, Gemini CLI and plain gen_ai
 * sources follow the OpenTelemetry GenAI conventions. Texts of the result live
 * in the arena, cleaned to UTF-8 without NUL. Pure: any thread, one arena each.
 * A function returns false only when the arena is full.
 *
 * Token columns are disjoint: input excludes what was read from or written to a
 * cache, whichever way the source counts it.
 */
#ifndef SERVER_MESSAGE_MAPPING_H
#define SERVER_MESSAGE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "core/otlp/otlp.h"
#include "server/message/message.h"
#include "server/message/usage.h"

/* Prompts and completions are cut at these by plan (enterprise: MESSAGE_BODY_WHOLE). */
#define MESSAGE_BODY_FREE_BYTES (16 * KIB)
#define MESSAGE_BODY_PRO_BYTES (256 * KIB)
#define MESSAGE_BODY_WHOLE SIZE_MAX

/* One attribute's value in metadata; longer ones are cut at a UTF-8 boundary. */
#define MESSAGE_METADATA_VALUE_BYTES (8 * KIB)
/* All of metadata; attributes past it are left out and counted in "metadata.dropped". */
#define MESSAGE_METADATA_BYTES (256 * KIB)

struct prices;

struct message_context {
    int64_t system_id; /* part of every key: two systems never share a row */
    uint64_t received_ns;
    struct bytes device_id; /* of the device whose token it is; may be empty */
    struct bytes owner;     /* e-mail of the token's or device's enrolled person; may be empty */
    size_t max_body_bytes;  /* by plan */
    const struct prices *prices; /* server/message/prices.h, borrowed; NULL: nothing is computed */
};

/* A record without a time of its own counts for received_ns. */
MUST_USE bool message_from_log(const struct otlp_log *log, const struct message_context *context,
                               struct arena *arena, struct message *out);
MUST_USE bool message_from_span(const struct otlp_span *span, const struct message_context *context,
                                struct arena *arena, struct message *out);

/*
 * *kept is false for points that say nothing about usage: gaps, gauges, points that are
 * neither finite nor of a sum or histogram.
 */
MUST_USE bool usage_from_point(const struct otlp_point *point,
                               const struct message_context *context, struct arena *arena,
                               struct usage_delta *out, bool *kept);

/* What a device says of itself; becomes a row of type MESSAGE_HEARTBEAT or MESSAGE_DOCTOR. */
struct message_agent_report {
    enum message_type type;
    struct bytes device_id;
    struct bytes natural_id; /* what makes it this one: "instance_uid/sequence_num", command id */
    uint64_t time_ns;
    enum message_success success; /* healthy; no check failed */
    struct bytes metadata;        /* a flat JSON object, or empty */
    struct bytes body;            /* the document as received */
};
MUST_USE bool message_from_agent(const struct message_agent_report *report,
                                 const struct message_context *context, struct arena *arena,
                                 struct message *out);

/* CONTRACT's rounding: half up, of USD x 10^6. MESSAGE_ABSENT unless finite and not negative. */
int64_t message_microcents_of_usd(double usd);

#endif
