/* What the clickhouse files of the message store share. Private to them. */
#ifndef SERVER_STORE_CLICKHOUSE_MESSAGES_H
#define SERVER_STORE_CLICKHOUSE_MESSAGES_H

#include <pthread.h>

#include "server/store/clickhouse_block.h"
#include "server/store/clickhouse_client.h"
#include "server/store/clickhouse_where.h"
#include "server/store/messages.h"

struct system_name {
    int64_t id;
    char *name;
};

struct clickhouse_messages {
    struct message_store store; /* first, so the pointers convert */
    struct clickhouse *server;
    pthread_mutex_t writing; /* one put at a time */

    pthread_mutex_t naming; /* over both below */
    struct system_name *systems;
    size_t system_count;
};

/* Asks and hands the answer to the reader; clear `answer` whatever comes. */
MUST_USE bool clickhouse_query(struct clickhouse_messages *s, const struct sql *sql,
                               uint32_t time_limit_ms, struct buffer *answer,
                               struct answer_reader *reader, struct error *err);

/* What is left of a time limit that began to count at `begun_ns`, FAIL_BUSY when nothing is; 0 stays
 * no limit. */
MUST_USE bool clickhouse_time_left(uint32_t limit_ms, uint64_t begun_ns, uint32_t *left_ms,
                                   struct error *err);

/* Writes the block's lines, all or none. */
MUST_USE bool clickhouse_write(struct clickhouse_messages *s, const struct line_block *block,
                               struct error *err);

/*
 * The name of a system, valid until the store is closed; empty when nobody has told it. Asks the
 * server for names it does not know yet.
 */
MUST_USE bool clickhouse_system_name(struct clickhouse_messages *s, int64_t id, struct bytes *name,
                                     struct error *err);

/* Whether it is known to be stored under this name, and that it now is. */
bool clickhouse_system_is(struct clickhouse_messages *s, int64_t id, struct bytes name);
void clickhouse_system_learn(struct clickhouse_messages *s, int64_t id, struct bytes name);

/* Keys of lines other than rows and points: hashes of what they are about. */
void clickhouse_key_of(const char *what, int64_t system, uint64_t number, struct bytes text,
                       uint8_t key[LINE_KEY_BYTES]);
void clickhouse_join_key(const struct message *m, int64_t system, uint8_t key[LINE_KEY_BYTES]);
void clickhouse_tombstone_key(struct bytes person, uint8_t key[LINE_KEY_BYTES]);

/* "(day,key) IN (…)" of rows. */
struct row_place {
    uint32_t day;
    uint8_t key[MESSAGE_KEY_BYTES];
};
void sql_put_places(struct sql *sql, const struct row_place *places, size_t count);
uint32_t day_of_key(const uint8_t key[MESSAGE_KEY_BYTES]); /* by the time it begins with */

/* Days like "2026-11-20" as numbers. FAIL_INVALID. */
MUST_USE bool clickhouse_days(const char *from_day, const char *to_day, int64_t *from, int64_t *to,
                              struct error *err);

/* ---- The kind's functions by file ---- */

bool clickhouse_put(struct message_store *store, const struct message_batch *batches, size_t count,
                    struct put_result *results, struct error *err);
bool clickhouse_get(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                    message_visit *visit, void *context, struct error *err);
bool clickhouse_find(struct message_store *store, const struct message_query *query,
                     const struct message_page *page, message_visit *visit, void *context,
                     struct error *err);
bool clickhouse_count(struct message_store *store, const struct message_query *query, uint64_t *out,
                      struct error *err);
bool clickhouse_aggregate(struct message_store *store, const struct aggregate_query *query,
                          aggregate_visit *visit, void *context, struct error *err);
bool clickhouse_usage(struct message_store *store, const char *from_day, const char *to_day,
                      usage_visit *visit, void *context, struct error *err);
bool clickhouse_metric_sums(struct message_store *store, const char *metric, const char *from_day,
                            const char *to_day, metric_sum_visit *visit, void *context,
                            struct error *err);
bool clickhouse_accounts(struct message_store *store, account_visit *visit, void *context,
                         struct error *err);
bool clickhouse_people(struct message_store *store, const char *from_day,
                       message_person_visit *visit, void *context, struct error *err);
bool clickhouse_retain(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                       struct error *err);
bool clickhouse_erase(struct message_store *store, struct bytes person, uint64_t now_ns,
                      uint64_t *deleted, struct error *err);

#endif
