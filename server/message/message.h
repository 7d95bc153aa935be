/*
 * The Message row: what every kind of telemetry becomes, and what the store
 * keeps. Field names on the wire are CONTRACT's (ActivityLog's where it has one):
 * docs/http-api.md.
 *
 *   OTLP record ─▶ message_from_log / _span ─▶ struct message ─▶ store
 *
 * Pure: no I/O, any thread.
 */
#ifndef SERVER_MESSAGE_MESSAGE_H
#define SERVER_MESSAGE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"

/* Absent numbers. Token counts, costs and durations are never negative. */
#define MESSAGE_ABSENT INT64_C(-1)

enum message_type {
    MESSAGE_GENERATION,  /* "ai.generation" */
    MESSAGE_TOOL,        /* "ai.tool" */
    MESSAGE_DECISION,    /* "ai.decision" */
    MESSAGE_PROMPT,      /* "ai.prompt" */
    MESSAGE_RESPONSE,    /* "ai.response" */
    MESSAGE_ERROR,       /* "ai.error" */
    MESSAGE_INTERACTION, /* "ai.interaction" */
    MESSAGE_EVENT,       /* "ai.event" */
    MESSAGE_LOG,         /* "log" */
    MESSAGE_SPAN,        /* "span" */
    MESSAGE_HEARTBEAT,   /* "agent.heartbeat" */
    MESSAGE_DOCTOR,      /* "agent.doctor" */
    MESSAGE_TYPE_COUNT,
};
const char *message_type_name(enum message_type type);
bool message_type_of_name(struct bytes name, enum message_type *out);

enum { MESSAGE_KEY_BYTES = 16, MESSAGE_WEAK_JOIN_MS = 1000 };

enum message_success { MESSAGE_SUCCESS_UNKNOWN = -1, MESSAGE_FAILED = 0, MESSAGE_SUCCEEDED = 1 };

/* Which record said it: the event wins over the span for what both carry. */
enum message_source {
    MESSAGE_FROM_EVENT = 1,
    MESSAGE_FROM_SPAN = 2,
    MESSAGE_FROM_AGENT = 4,
};

/* How sure we are who the person is; the strongest that a record offers is taken. */
enum message_person_rank {
    PERSON_UNKNOWN,    /* person is "" */
    PERSON_BY_ID,      /* user.id: an installation, not yet a person */
    PERSON_BY_NAME,    /* user.name */
    PERSON_BY_ACCOUNT, /* the e-mail seen with the same account id: the store fills it in */
    PERSON_BY_OWNER,   /* whoever the token or device was enrolled for */
    PERSON_BY_EMAIL,   /* user.email */
    PERSON_BY_STAMP,   /* work_email; on the resource it is our relay's stamp */
};

/* Texts are valid UTF-8 without NUL; empty means absent. Borrowed from the arena they were made in.
 */
struct message {
    uint8_t key[MESSAGE_KEY_BYTES]; /* 48-bit event time in ms, big-endian, then 80 bits of a hash
                                       of the natural id */
    /*
     * What makes two records one row: the hash of (system, type, request id) or (system, type,
     * tool use id); also the first 8 of the key's 10 hash bytes, so that the id of either record
     * finds the row. 0: nothing, only `key` identifies it.
     */
    uint64_t join_hash;
    bool join_weak; /* join_hash is a guess that several rows may share: joins an event and a span
                       that ended within MESSAGE_WEAK_JOIN_MS of each other, the nearest first */
    uint64_t parent_join_hash; /* join_hash of the generation that asked for this; 0: none */

    enum message_type type;
    unsigned sources;     /* enum message_source, or-ed */
    uint64_t time_ns;     /* of the event, or the span's start */
    uint64_t received_ns; /* by the server */
    struct bytes service_name, model;
    struct bytes person; /* lower-cased; "" when nothing names one */
    enum message_person_rank person_rank;
    struct bytes account_uuid, account_id; /* user.account_uuid, user.account_id */
    struct bytes name; /* event name without prefix, span or log name: metadata "event.name" or
                          "span.name" */
    int64_t input_tokens, output_tokens, cache_read_tokens, cache_create_tokens;
    int64_t cost_microcents;          /* as reported: USD x 10^6 */
    int64_t cost_computed_microcents; /* from our price table */
    int64_t duration_ms;
    enum message_success success;
    uint8_t trace_id[16], span_id[8], parent_span_id[8]; /* all zero: absent */
    struct bytes session_id, prompt_id, request_id, tool_use_id, tool_name;
    struct bytes body;
    bool body_truncated;
    struct bytes metadata; /* a flat JSON object of dotted attribute names; values are strings,
                              numbers, booleans, null, arrays or objects. Sorted by key: first
                              those an event said, then the rest */
    /* Which of the above an event said, for message_join(): bits private to it, and how many of
     * metadata's keys. Stored and handed back as they are. */
    uint32_t event_fields;
    uint32_t event_metadata_keys;
};

/* When it was over: an event's time, a span's start and duration. */
uint64_t message_end_ns(const struct message *message);

/* Sets event_fields of a message made from one event. */
void message_note_event(struct message *message);

/*
 * Two records of one request id or tool use id become one row: fills `out` from both, the
 * event winning over the span field by field (its time and key too), metadata united. Any order
 * and any repetition gives the same row. Borrows from both; new texts come from the arena.
 * False only when the arena is full.
 */
MUST_USE bool message_join(const struct message *a, const struct message *b, struct arena *arena,
                           struct message *out);

#endif
