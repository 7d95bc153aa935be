/* What the postgres files of the message store share. Private to them. */
#ifndef SERVER_STORE_POSTGRES_MESSAGES_H
#define SERVER_STORE_POSTGRES_MESSAGES_H

#include <pthread.h>

#include "base/arena.h"
#include "server/store/messages.h"
#include "server/store/postgres_array.h"
#include "server/store/postgres_db.h"
#include "server/store/sum_table.h"
#include "server/store/text_ids.h"
#include "server/store/where.h"

#define DAY_NS UINT64_C(86400000000000)

enum { POSTGRES_TEXT_HASH_BYTES = 16, POSTGRES_TOMBSTONE_BYTES = 32 };

/*
 * Locks of this part (postgres_area). Who puts shares WRITERS and holds SYSTEM of each system, in
 * order of their numbers: rows of one system are put by one process at a time, those of several
 * side by side. Who deletes holds WRITERS alone.
 */
enum { POSTGRES_LOCK_WRITERS = POSTGRES_LOCK_MESSAGES, POSTGRES_LOCK_SYSTEM };

struct postgres_tombstone {
    uint8_t person[POSTGRES_TOMBSTONE_BYTES]; /* its SHA-256 */
    int64_t erased_ns;
};

struct postgres_messages {
    struct message_store store; /* first, so the pointers convert */
    struct postgres *db;

    pthread_mutex_t writing; /* guards what follows, held for a whole transaction */
    struct text_ids *texts;
    int64_t known_system; /* the last one whose name was written */
    /* What is remembered is of the time when `state` said so many erasures. */
    int64_t erasures;                      /* -1: nothing is remembered */
    struct postgres_tombstone *tombstones; /* sorted */
    size_t tombstone_count;
};

extern const char *const POSTGRES_MESSAGE_STEPS[];
extern const int POSTGRES_MESSAGE_STEP_COUNT;
extern const struct dialect postgres_dialect;

void postgres_text_hash(struct bytes text, uint8_t hash[POSTGRES_TEXT_HASH_BYTES]);
void postgres_where_bind(const struct where *where, struct postgres_query *query);

/* ---- What is remembered between transactions, postgres_texts.c ---- */

/* The distinct texts of a put whose numbers are not known yet. */
struct postgres_unknown_texts;
struct postgres_unknown_texts *postgres_unknown_create(void);
void postgres_unknown_destroy(struct postgres_unknown_texts *unknown);
void postgres_unknown_add(struct postgres_messages *s, struct postgres_unknown_texts *unknown,
                          struct bytes text);

/*
 * Learns the numbers of the unknown texts, giving new ones to those that have none, in transactions of
 * its own: so nobody waits for a text that another is about to add. Forgets before that
 * what an erasure since has made wrong.
 */
bool postgres_texts_learn(struct postgres_messages *s, struct postgres_unknown_texts *unknown,
                          struct error *err);

/* The number of a text that has one; 0 for an empty one. `link` asks for what is not remembered. */
bool postgres_text_id(struct postgres_messages *s, struct postgres_link *link, struct bytes text,
                      int64_t *id, struct error *err);

/*
 * With the locks held: whether what is remembered is still right. When not, it is forgotten, *fresh
 * is false, and the transaction must begin anew. Tombstones are read when there are others.
 */
bool postgres_state_check(struct postgres_messages *s, struct postgres_link *link, bool *fresh,
                          struct error *err);
void postgres_forget(struct postgres_messages *s);

/* Whether a tombstone covers the person's doings at `time_ns`. */
bool postgres_is_erased(const struct postgres_messages *s, struct bytes person, uint64_t time_ns);

/* ---- Who, postgres_person.c ---- */

/* Who the account ids of a put belong to. */
struct postgres_accounts {
    struct sum_table table; /* (system, account) -> person's number, and its place in `persons` */
    struct bytes *persons;
    size_t person_count;
    struct arena texts;
};

/* Of a row or a point: what tells whose it is. */
struct postgres_claim {
    struct bytes *person;
    enum message_person_rank *rank;
    struct bytes account_uuid, account_id;
    uint64_t time_ns;
};

bool postgres_accounts_read(struct postgres_messages *s, struct postgres_link *link,
                            const struct message_batch *batches, size_t count,
                            struct postgres_accounts *accounts, struct error *err);
/* Learns from and fills in the person by account id; *erased when a tombstone covers it. */
bool postgres_person_settle(struct postgres_messages *s, struct postgres_link *link,
                            struct postgres_accounts *accounts, int64_t system,
                            const struct postgres_claim *claim, bool *erased, struct error *err);
bool postgres_accounts_write(struct postgres_link *link, struct postgres_accounts *accounts,
                             struct error *err);
void postgres_accounts_clear(struct postgres_accounts *accounts);
bool postgres_accounts_visit(struct message_store *store, account_visit *visit, void *context,
                             struct error *err);

/* ---- Streams, postgres_streams.c ---- */

/* Decides each batch's outcome in its order and writes the streams' new positions. */
bool postgres_streams_put(struct postgres_link *link, const struct message_batch *batches,
                          size_t count, struct put_result *results, struct error *err);

/* ---- Daily sums, postgres_sums.c ---- */

struct postgres_sums {
    struct sum_table rollup, events, metrics;
};

/* The numbers of a row's texts. */
struct postgres_row_ids {
    int64_t system, service, model, person, account_uuid, account_id, name, session, prompt, tool;
};

/* One row's part in them, added (sign 1) or taken out again (sign -1). */
void postgres_sums_change(struct postgres_sums *sums, const struct message *m,
                          const struct postgres_row_ids *ids, int sign);
/* Only the sums that queries read: daily usage outlives the rows it was counted from. */
void postgres_sums_change_rollup(struct postgres_sums *sums, const struct message *m,
                                 const struct postgres_row_ids *ids, int sign);
bool postgres_sums_write(struct postgres_link *link, struct postgres_sums *sums, struct error *err);
void postgres_sums_clear(struct postgres_sums *sums);

/* ---- Metric points, postgres_points.c ---- */

/* Adds the points of the stored batches that are new to `sums`; counts them in `results`. */
bool postgres_points_put(struct postgres_messages *s, struct postgres_link *link,
                         struct postgres_accounts *accounts, const struct message_batch *batches,
                         size_t count, struct postgres_sums *sums, struct put_result *results,
                         struct error *err);

/* ---- Rows, postgres_rows.c ---- */

/* Of the message's own columns behind them; see row_sql.h. */
bool postgres_row_read(const struct postgres_query *query, struct arena *arena,
                       struct stored_message *row);

bool postgres_get(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                  message_visit *visit, void *context, struct error *err);
bool postgres_find(struct message_store *store, const struct message_query *query,
                   const struct message_page *page, message_visit *visit, void *context,
                   struct error *err);
bool postgres_count(struct message_store *store, const struct message_query *query, uint64_t *out,
                    struct error *err);

/* ---- Putting rows, postgres_put_rows.c ---- */

/* Puts the stored batches' rows, joins those that belong together, and changes `sums` by them. */
bool postgres_rows_put(struct postgres_messages *s, struct postgres_link *link,
                       struct postgres_accounts *accounts, const struct message_batch *batches,
                       size_t count, struct postgres_sums *sums, struct put_result *results,
                       struct error *err);

/* ---- The rest of the table ---- */

bool postgres_put(struct message_store *store, const struct message_batch *batches, size_t count,
                  struct put_result *results, struct error *err);
bool postgres_aggregate(struct message_store *store, const struct aggregate_query *query,
                        aggregate_visit *visit, void *context, struct error *err);
bool postgres_usage(struct message_store *store, const char *from_day, const char *to_day,
                    usage_visit *visit, void *context, struct error *err);
bool postgres_metric_sums(struct message_store *store, const char *metric, const char *from_day,
                          const char *to_day, metric_sum_visit *visit, void *context,
                          struct error *err);
bool postgres_people(struct message_store *store, const char *from_day, message_person_visit *visit,
                     void *context, struct error *err);
bool postgres_retain(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                     struct error *err);
bool postgres_erase(struct message_store *store, struct bytes person, uint64_t now_ns,
                    uint64_t *deleted, struct error *err);

#endif
