/* What the sqlite files of the message store share. Private to them. */
#ifndef SERVER_STORE_SQLITE_MESSAGES_H
#define SERVER_STORE_SQLITE_MESSAGES_H

#include <pthread.h>

#include "base/arena.h"
#include "base/clock.h"
#include "server/store/messages.h"
#include "server/store/sqlite_db.h"
#include "server/store/text_ids.h"
#include "server/store/where.h"

enum { SQLITE_READERS_MAX = 8 };
#define DAY_NS UINT64_C(86400000000000)

/* The statements of the writing connection. */
enum write_statement {
    WRITE_TEXT_FIND,
    WRITE_TEXT_ADD,
    WRITE_SYSTEM,
    WRITE_INSERT,
    WRITE_UPDATE,
    WRITE_FIND_KEY,
    WRITE_FIND_JOIN,
    WRITE_LOAD,
    WRITE_ROLLUP,
    WRITE_ROLLUP_CLEAN,
    WRITE_USAGE_EVENT,
    WRITE_USAGE_EVENT_CLEAN,
    WRITE_USAGE_METRIC,
    WRITE_POINT,
    WRITE_SERIES_FIND,
    WRITE_SERIES_PUT,
    WRITE_STREAM_FIND,
    WRITE_STREAM_DELETE,
    WRITE_STREAM_ADD,
    WRITE_ACCOUNT_FIND,
    WRITE_ACCOUNT_PUT,
    WRITE_TOMBSTONE_FIND,
    WRITE_COUNT
};

/* A reading connection of the pool. */
struct reader {
    sqlite3 *db;
    uint64_t until_ns; /* of the monotonic clock; 0: no limit */
};

struct sqlite_messages {
    struct message_store store; /* first, so the pointers convert */
    char *path;

    pthread_mutex_t writing; /* held for a whole transaction */
    sqlite3 *writer;
    sqlite3_stmt *write[WRITE_COUNT];
    struct text_ids *texts;
    struct arena scratch; /* of one row being joined */
    int64_t data_version; /* another process wrote when it differs */
    int64_t tombstones;   /* how many there are */
    int64_t known_system; /* the last one whose name was written */

    pthread_mutex_t pooling;
    pthread_cond_t freed;
    struct reader *idle[SQLITE_READERS_MAX];
    int idle_count, open_count;
};

/* ---- Readers, sqlite_messages.c ---- */

/* One of the pool, for one call; waits for a free one. NULL on failure. */
struct reader *reader_take(struct sqlite_messages *s, uint32_t time_limit_ms, struct error *err);
void reader_give(struct sqlite_messages *s, struct reader *reader);

/* ---- Writing, sqlite_write.c ---- */

/* BEGIN IMMEDIATE, with what was remembered checked against other processes' writing. */
bool write_begin(struct sqlite_messages *s, struct error *err);
bool write_commit(struct sqlite_messages *s, struct error *err);
void write_roll_back(struct sqlite_messages *s);
bool write_text_id(struct sqlite_messages *s, struct bytes text, int64_t *id, struct error *err);
bool write_prepare(struct sqlite_messages *s, struct error *err);

/* ---- Usage, sqlite_usage.c ---- */

/* One row's part in the daily sums, added (sign 1) or taken out again (sign -1). */
struct row_ids {
    int64_t system, service, model, person, account_uuid, account_id, name, session, prompt, tool;
};
bool usage_change(struct sqlite_messages *s, const struct message *m, const struct row_ids *ids,
                  int sign, struct error *err);
/* Only the sums that queries read: daily usage outlives the rows it was counted from. */
bool usage_change_rollup(struct sqlite_messages *s, const struct message *m,
                         const struct row_ids *ids, int sign, struct error *err);
bool usage_put_point(struct sqlite_messages *s, const struct usage_delta *delta,
                     const struct message_batch *b, int64_t person, bool *repeated,
                     struct error *err);
bool sqlite_usage_read(struct message_store *store, const char *from_day, const char *to_day,
                       usage_visit *visit, void *context, struct error *err);

bool sqlite_metric_sums(struct message_store *store, const char *metric, const char *from_day,
                        const char *to_day, metric_sum_visit *visit, void *context,
                        struct error *err);

/* ---- Who, sqlite_person.c ---- */

/* Learns from and fills in the person by account id; *erased when a tombstone covers it. */
bool person_settle(struct sqlite_messages *s, int64_t system, struct bytes *person,
                   enum message_person_rank *rank, struct bytes account_uuid,
                   struct bytes account_id, uint64_t time_ns, bool *erased, struct error *err);

bool sqlite_accounts(struct message_store *store, account_visit *visit, void *context,
                     struct error *err);

/* ---- Who has sent what, sqlite_people.c ---- */

bool sqlite_people(struct message_store *store, const char *from_day, message_person_visit *visit,
                   void *context, struct error *err);

/* ---- Questions, sqlite_dialect.c ---- */

void sqlite_where_bind(const struct where *where, sqlite3_stmt *statement);

/* ---- Rows, sqlite_rows.c ---- */

extern const char SQLITE_ROW_COLUMNS[]; /* of `message m`, body last */
/* Fills `row` from a statement that selects SQLITE_ROW_COLUMNS; texts are borrowed from the
 * arena. False when it is full. */
bool row_read(sqlite3_stmt *statement, struct arena *arena, struct stored_message *row);

bool sqlite_get(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                message_visit *visit, void *context, struct error *err);
bool sqlite_find(struct message_store *store, const struct message_query *query,
                 const struct message_page *page, message_visit *visit, void *context,
                 struct error *err);
bool sqlite_count(struct message_store *store, const struct message_query *query, uint64_t *out,
                  struct error *err);

/* ---- The rest of the table ---- */

bool sqlite_put(struct message_store *store, const struct message_batch *batches, size_t count,
                struct put_result *results, struct error *err);
bool sqlite_aggregate(struct message_store *store, const struct aggregate_query *query,
                      aggregate_visit *visit, void *context, struct error *err);
bool sqlite_retain(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                   struct error *err);
bool sqlite_erase(struct message_store *store, struct bytes person, uint64_t now_ns,
                  uint64_t *deleted, struct error *err);

#endif
