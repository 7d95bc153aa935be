/*
 * SQL for ClickHouse from a query: every name comes from the table in
 * clickhouse_where.c, every value is quoted byte by byte. Private to the clickhouse files.
 */
#ifndef SERVER_STORE_CLICKHOUSE_WHERE_H
#define SERVER_STORE_CLICKHOUSE_WHERE_H

#include "server/store/clickhouse_block.h"
#include "server/store/messages.h"

struct sql {
    struct buffer text;
    bool failed; /* it grew past its ceiling */
};

void sql_init(struct sql *sql);
void sql_clear(struct sql *sql);
void sql_put(struct sql *sql, const char *text);
void sql_put_int(struct sql *sql, int64_t number);
void sql_put_uint(struct sql *sql, uint64_t number);
/* A literal in which only letters, digits and a few marks stand as they are: any bytes are safe. */
void sql_put_quoted(struct sql *sql, struct bytes text);
/*
 * Many keys at once, as hexadecimal in one literal, which the server takes apart: a thousand literals
 * cost it thirty times as much as looking them up. A list is begun by the first and ended by the last.
 */
void sql_put_hex(struct sql *sql, struct bytes bytes);
extern const char SQL_KEYS_BEGIN[], SQL_KEYS_END[];     /* "(SELECT …": keys, apart by "," */
extern const char SQL_PLACES_BEGIN[], SQL_PLACES_END[]; /* the same of (day,key) */
void sql_put_place(struct sql *sql, uint32_t day, const uint8_t key[MESSAGE_KEY_BYTES]);
MUST_USE bool sql_ok(const struct sql *sql, struct error *err);

/*
 * "FROM table FINAL WHERE kind=LINE_MESSAGE AND dead=0 AND …": FINAL, so that of what was written
 * twice, and of what was joined later, one line counts.
 */
void sql_put_rows(struct sql *sql, const struct message_query *query);

/* What tells a field's values apart, as a String, "" where it is absent; and how it is shown. */
void sql_put_group(struct sql *sql, enum message_field field, struct bytes metadata_key);
enum { GROUP_TEXT_BYTES = 40 };
/* Borrows from `key` or `room`; data NULL: absent. Systems are numbers here still. */
struct bytes sql_group_shown(enum message_field field, struct bytes key,
                             char room[GROUP_TEXT_BYTES]);

/* The field as a Nullable(Float64), and whether it is of whole numbers. False when it is none. */
bool sql_put_number(struct sql *sql, enum message_field field, struct bytes metadata_key);

#endif
