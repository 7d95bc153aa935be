/*
 * Where message rows and daily usage are kept. sqlite_messages.c, postgres_messages.c and
 * clickhouse_messages.c each export one `struct message_store_kind`;
 * tests/server/message_store_contract.c runs the same tests against all of them.
 * Only this folder knows which kind is in use.
 *
 *   ingest ──put──▶ messages ◀──find, aggregate, usage── query, portal
 *
 * Threads: put, retain and erase are called from one writer thread; find, get,
 * aggregate and usage from any, at the same time.
 */
#ifndef SERVER_STORE_MESSAGES_H
#define SERVER_STORE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"
#include "server/message/message.h"
#include "server/message/usage.h"

struct message_store;

/* The public id of a row: 26 characters of Crockford base32 of its key (ULID form), with NUL. */
enum { MESSAGE_ID_BYTES = 27 };
void message_id_of_key(const uint8_t key[MESSAGE_KEY_BYTES], char out[MESSAGE_ID_BYTES]);
bool message_key_of_id(struct bytes id, uint8_t key[MESSAGE_KEY_BYTES]);

/* The rows of one request, stored all or none. Borrowed for the call. */
struct message_batch {
    int64_t system_id;
    struct bytes system; /* its name, for FIELD_SYSTEM; may be empty when it was given before */
    int64_t token_id;
    int retention_days; /* 0: for ever */
    uint64_t received_ns;

    /* Exactly once for our relay: what X-Batch-* said. stream empty: no relay. */
    struct bytes stream; /* UUID text */
    enum otlp_signal signal;
    uint64_t first, last;

    const struct message *messages;
    size_t message_count;
    const struct usage_delta *usage;
    size_t usage_count;
};

enum put_outcome {
    PUT_STORED,
    PUT_REPLAYED, /* first..last lies within what the stream has committed: nothing changed */
    PUT_OVERLAPS, /* part of first..last is committed: nothing changed, send the parts separately */
};

struct put_result {
    enum put_outcome outcome;
    uint32_t inserted, merged, repeated; /* rows new, joined to an existing row, already there */
};

/* ---- Reading ---- */

enum message_field {
    FIELD_ID,
    FIELD_TYPE,
    FIELD_TIME,
    FIELD_RECEIVED_AT,
    FIELD_SERVICE_NAME,
    FIELD_SYSTEM,
    FIELD_MODEL,
    FIELD_PERSON,
    FIELD_INPUT_TOKENS,
    FIELD_OUTPUT_TOKENS,
    FIELD_CACHE_READ_TOKENS,
    FIELD_CACHE_CREATE_TOKENS,
    FIELD_COST_MICROCENTS,
    FIELD_COST_COMPUTED_MICROCENTS,
    FIELD_DURATION_MS,
    FIELD_SUCCESS,
    FIELD_TRACE_ID,
    FIELD_SPAN_ID,
    FIELD_PARENT_ID,
    FIELD_SESSION_ID,
    FIELD_PROMPT_ID,
    FIELD_TOOL_NAME,
    FIELD_METADATA, /* with a key */
};

struct message_filter {
    enum message_field field;
    struct bytes metadata_key;  /* FIELD_METADATA: without the "metadata." prefix */
    const struct bytes *values; /* any of them, as the API writes them */
    size_t value_count;
    bool none_of; /* the rows that the filter would leave out instead, those without a value too */
};

struct message_query {
    const struct message_filter *filters; /* all of them */
    size_t filter_count;
    uint64_t from_ns, to_ns; /* to is exclusive; 0: open */
    uint32_t time_limit_ms;  /* FAIL_BUSY past it; 0: none */
};

/* A row as read: `message` borrowed for the call, plus what the store adds. */
struct stored_message {
    struct message message;
    char id[MESSAGE_ID_BYTES];
    char parent_id[MESSAGE_ID_BYTES]; /* "" when there is none or it has not arrived */
    struct bytes system;              /* its name */
};
typedef bool message_visit(void *context, const struct stored_message *row); /* false: stop */

struct message_page {
    uint32_t take;
    uint32_t skip; /* ActivityLog's; 0 with a cursor */
    bool after;    /* rows older than (after_time_ns, after_key) */
    uint64_t after_time_ns;
    uint8_t after_key[MESSAGE_KEY_BYTES];
    bool with_body; /* false: rows come without body */
};

enum aggregate_function {
    AGGREGATE_COUNT,
    AGGREGATE_SUM,
    AGGREGATE_AVG,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_P50,
    AGGREGATE_P90,
    AGGREGATE_P95,
    AGGREGATE_P99,
    AGGREGATE_UNIQ
};
struct aggregate_metric {
    enum aggregate_function function;
    enum message_field field; /* not for COUNT */
    struct bytes metadata_key;
};
struct aggregate_group {
    enum message_field field;
    struct bytes metadata_key;
};
enum aggregate_interval {
    INTERVAL_NONE,
    INTERVAL_HOUR,
    INTERVAL_DAY,
    INTERVAL_WEEK,
    INTERVAL_MONTH
};

struct aggregate_query {
    struct message_query where;
    const struct aggregate_group *groups;
    size_t group_count;
    const struct aggregate_metric *metrics;
    size_t metric_count;
    enum aggregate_interval interval;
    const char *time_zone; /* IANA name; NULL: UTC */
    uint32_t top; /* keep the N groups largest by the first metric, the rest as one "other" row; 0:
                     all */
    uint32_t max_rows; /* FAIL_TOO_LARGE beyond */
};
struct aggregate_row {
    const struct bytes *groups;  /* group_count; data NULL: the field is absent */
    struct bytes interval_start; /* "2026-05-01" or RFC 3339; empty without interval */
    const double *numbers;       /* metric_count; NaN: no value */
    const int64_t *integers;     /* exact, for sum of integers, count, min, max, uniq */
    const bool *is_integer;
    bool is_other; /* the rest behind top */
};
typedef bool aggregate_visit(void *context, const struct aggregate_row *row);

/* One person, UTC day and source; CONTRACT "Precedence" is applied by server/query/usage.c. */
struct usage_row {
    char day[11];                                   /* "2026-11-20" */
    struct bytes person, system, model, session_id; /* "" where the source does not tell */
    enum usage_origin { USAGE_FROM_EVENTS, USAGE_FROM_METRICS } origin;
    int64_t input_tokens, output_tokens, cache_read_tokens, cache_create_tokens;
    int64_t cost_microcents;
    int64_t requests, sessions, commits, pull_requests, lines_added, lines_removed;
    int64_t edits_accepted, edits_rejected;
    double active_seconds;
};
typedef bool usage_visit(void *context, const struct usage_row *row);

/* A metric's points of some days, added up by person and the points' own attributes. */
struct metric_sum {
    struct bytes person;     /* "" when nothing names one */
    struct bytes attributes; /* "decision=accept,language=Go,…", sorted: see metric_attribute() */
    double value;
};
typedef bool metric_sum_visit(void *context, const struct metric_sum *sum);

/* What came of one person since a day, heartbeats and doctor reports left out. */
struct message_person {
    struct bytes person;
    uint64_t last_row_ns;    /* 0: no row */
    int64_t last_metric_day; /* days since 1970; -1: no metric point */
    uint64_t rows, tokens;
    uint64_t cost_microcents; /* reported, or computed where nothing was reported */
};
typedef bool message_person_visit(void *context, const struct message_person *person);

/* The value of `key` among attributes; empty when it is not there. Values end at a comma. */
struct bytes metric_attribute(struct bytes attributes, const char *key);

/* Borrowed for the call; false: stop. */
typedef bool account_visit(void *context, struct bytes account_id, struct bytes person);

struct message_store_kind {
    const char *scheme; /* "sqlite" in "sqlite:/var/lib/…" */

    /* `location` is what follows the scheme. The caller closes. NULL on failure. */
    struct message_store *(*open)(const char *location, struct error *err);
    void (*close)(struct message_store *store);

    /*
     * Stores several batches in one transaction, each all or none; results[i]
     * belongs to batches[i]. False: nothing of any batch is stored. True means
     * durable. Rows whose key or join_hash is there already are joined by message_join().
     */
    bool (*put)(struct message_store *store, const struct message_batch *batches, size_t count,
                struct put_result *results, struct error *err);

    /* One row with its body. False with FAIL_NOT_FOUND. */
    bool (*get)(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                message_visit *visit, void *context, struct error *err);

    /* Newest first. */
    bool (*find)(struct message_store *store, const struct message_query *query,
                 const struct message_page *page, message_visit *visit, void *context,
                 struct error *err);
    bool (*count)(struct message_store *store, const struct message_query *query, uint64_t *out,
                  struct error *err);

    /* Rows in order of the first metric, largest first; with an interval by interval, then that. */
    bool (*aggregate)(struct message_store *store, const struct aggregate_query *query,
                      aggregate_visit *visit, void *context, struct error *err);

    /* Every (day, person, system, model, session, origin) from day to day (inclusive), by day and
     * person. */
    bool (*usage)(struct message_store *store, const char *from_day, const char *to_day,
                  usage_visit *visit, void *context, struct error *err);

    /* Sums of the metric of this name ("claude_code.commit.count"), days inclusive. */
    bool (*metric_sums)(struct message_store *store, const char *metric, const char *from_day,
                        const char *to_day, metric_sum_visit *visit, void *context,
                        struct error *err);

    /*
     * Who account ids belong to, learned from records that carried one with an e-mail: by
     * account, then person. NULL: this kind does not learn.
     */
    bool (*accounts)(struct message_store *store, account_visit *visit, void *context,
                     struct error *err);

    /* Everyone who sent something on `from_day` or since, by person. */
    bool (*people)(struct message_store *store, const char *from_day, message_person_visit *visit,
                   void *context, struct error *err);

    /* Deletes rows past their retention as of `now_ns`; says how many. */
    bool (*retain)(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                   struct error *err);

    /* Deletes everything of a person and remembers a tombstone, so that late replays stay out. */
    bool (*erase)(struct message_store *store, struct bytes person, uint64_t now_ns,
                  uint64_t *deleted, struct error *err);

    /* Writes, durably, nothing that anyone reads: tells whether rows could be stored now. Like put. */
    bool (*probe)(struct message_store *store, struct error *err);

    /*
     * Copies everything at `location` as of now into the new file `target`, durably, while
     * others go on writing. FAIL_INVALID when the kind has tools of its own for that.
     */
    bool (*backup)(const char *location, const char *target, struct error *err);
};

/* A kind embeds this as the first member of its own struct. */
struct message_store {
    const struct message_store_kind *kind;
};

/* Picks the kind by the scheme of `url`. The caller closes with store->kind->close. */
struct message_store *message_store_open(const char *url, struct error *err);

/* The kind's backup, by the scheme of `url`. */
MUST_USE bool message_store_backup(const char *url, const char *target, struct error *err);

#endif
