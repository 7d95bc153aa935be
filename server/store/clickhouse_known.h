/*
 * What the server holds of that which a put touches, and what the put makes of it: looked up before,
 * changed in memory, written as one block. Private to the clickhouse files; one thread each.
 */
#ifndef SERVER_STORE_CLICKHOUSE_KNOWN_H
#define SERVER_STORE_CLICKHOUSE_KNOWN_H

#include "server/store/clickhouse_messages.h"
#include "server/store/key_map.h"

struct known_row {
    struct message m; /* only key and time while not `loaded` */
    uint64_t version; /* as stored; 0: it is not */
    uint64_t expires_ns;
    int64_t system, token;
    bool live, loaded, changed;
    uint32_t next; /* of those that may be joined with it, index + 1 */
};

struct known_range {
    uint8_t stream[LINE_KEY_BYTES];
    uint64_t first, last;
    bool changed, gone; /* swallowed by another */
    int64_t system;
    struct bytes text;
    uint64_t received_ns;
};

struct known_series {
    uint8_t key[LINE_KEY_BYTES];
    uint64_t time_ns;
    double value;
    bool there, changed;
};

struct known_account {
    uint8_t key[LINE_KEY_BYTES];
    int64_t system;
    struct bytes text, person; /* person "": nobody's yet */
    bool changed;
};

struct known_point {
    const struct usage_delta *delta;
    struct bytes person;
    int64_t system;
    double added;
};

struct line_key {
    uint8_t bytes[LINE_KEY_BYTES];
};

struct known {
    struct arena arena;
    struct buffer narrow, full; /* answers that texts are borrowed from */
    struct known_row *rows;
    size_t row_count, row_room;
    struct key_map row_at, join_at; /* to an index; to index + 1 of the newest */
    struct known_range *ranges;
    size_t range_count, range_room;
    struct known_series *series;
    size_t series_count, series_room;
    struct key_map series_at;
    struct known_account *accounts;
    size_t account_count, account_room;
    struct key_map account_at;
    struct key_map point_at; /* 1: stored or about to be */
    struct known_point *points;
    size_t point_count, point_room;
    struct key_map tombstone_at;
    uint64_t *tombstones; /* until when */
    size_t tombstone_count, tombstone_room;
};

void known_init(struct known *known);
void known_clear(struct known *known);

/* Looks up what these batches touch. */
MUST_USE bool known_look_up(struct known *known, struct clickhouse_messages *s,
                            const struct message_batch *batches, size_t count, struct error *err);

/* The rows that have one of these join keys, whole. */
MUST_USE bool known_load_joined(struct known *known, struct clickhouse_messages *s,
                                const struct line_key *keys, size_t count, struct error *err);

/* "(day,key) IN (SELECT … those that have one of the join keys)". */
void sql_put_joined(struct sql *sql, const struct line_key *keys, size_t count);

/* NULL when it is not there. Valid until a row is added. */
struct known_row *known_row_of(struct known *known, const uint8_t key[MESSAGE_KEY_BYTES]);
struct known_row *known_add_row(struct known *known, const struct known_row *row);

/* Index + 1 of the first of the rows with this join key; 0: none. */
uint32_t known_joined(const struct known *known, const uint8_t join[LINE_KEY_BYTES]);

struct known_account *known_account_of(struct known *known, int64_t system, struct bytes account);
struct known_series *known_series_of(struct known *known, const struct usage_delta *delta);
struct known_range *known_add_range(struct known *known, const struct known_range *range);
void known_add_point(struct known *known, const struct known_point *point);
bool known_is_erased(const struct known *known, struct bytes person, uint64_t time_ns);

#endif
