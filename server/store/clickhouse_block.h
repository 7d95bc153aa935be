/*
 * The one table of the ClickHouse store, as lines to be written and as answers
 * to be read. Private to the clickhouse files; docs/clickhouse.md says why there is one table.
 *
 *   struct line ──line_block_add──▶ a block in ClickHouse's format Native ──▶ INSERT
 *   SELECT … FORMAT RowBinary ──▶ struct answer_reader
 *
 * A line's place is (kind, day, key, item); of several lines in one place the one with the greatest
 * version counts, and what is `dead` does not.
 */
#ifndef SERVER_STORE_CLICKHOUSE_BLOCK_H
#define SERVER_STORE_CLICKHOUSE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "server/store/messages.h"

#define CLICKHOUSE_TABLE "telemetry_v1"
#define DAY_NS UINT64_C(86400000000000)
enum { LINE_KEY_BYTES = 16 };

enum line_kind {
    LINE_MESSAGE,   /* a row; day and key its own */
    LINE_USAGE,     /* what a generation adds to its day's usage; outlives the row */
    LINE_POINT,     /* what a metric point adds; day and key the point's own */
    LINE_SERIES,    /* a running total: key the series and its start, version the point's time */
    LINE_STREAM,    /* sequences item (first) to version (last) of a relay's stream are in */
    LINE_JOIN,      /* key what can be joined, `ref` and time_ns a row that has it */
    LINE_ACCOUNT,   /* key an account id, `person` whose it is */
    LINE_TOMBSTONE, /* key a person's hash, version until when what it sent stays out */
    LINE_SYSTEM,    /* item a system, `text` its name */
    LINE_PROBE,     /* nothing: that it can be written is all */
};

struct line {
    enum line_kind kind;
    uint32_t day;
    uint8_t key[LINE_KEY_BYTES];
    uint64_t item, version;
    bool dead;
    int64_t system, token;
    uint64_t expires_ns; /* 0: never */
    struct bytes text;
    double value;
    uint8_t ref[LINE_KEY_BYTES];
    const struct message *message; /* all other columns; NULL: empty ones */
};

/* ---- Writing ---- */

enum { LINE_COLUMNS = 51 };

struct line_block {
    uint64_t rows;
    uint16_t written_day; /* days since 1970: the month of it is the partition */
    struct buffer columns[LINE_COLUMNS];
    struct buffer nested[LINE_COLUMNS]; /* what arrays hold; their column has the offsets */
    uint64_t nested_count[LINE_COLUMNS];
    bool failed;
};

void line_block_init(struct line_block *block, uint64_t now_ns);
void line_block_add(struct line_block *block, const struct line *line);
void line_block_clear(struct line_block *block);

/* The whole block. FAIL_TOO_LARGE when it is. */
MUST_USE bool line_block_finish(const struct line_block *block, struct buffer *out,
                                struct error *err);

/* "CREATE TABLE IF NOT EXISTS …" for a server of this version. */
MUST_USE bool line_table_create_sql(unsigned version, struct buffer *sql);

/* ---- Reading: RowBinary ---- */

struct answer_reader {
    struct bytes rest;
    bool failed; /* cut off or senseless: all that follows reads as 0 and "" */
};

static inline bool answer_more(const struct answer_reader *r)
{
    return !r->failed && r->rest.len > 0;
}
uint8_t answer_u8(struct answer_reader *r);
uint32_t answer_u32(struct answer_reader *r);
uint64_t answer_u64(struct answer_reader *r);
int64_t answer_i64(struct answer_reader *r);
double answer_f64(struct answer_reader *r);
struct bytes answer_text(struct answer_reader *r); /* borrowed from the answer */
void answer_fixed(struct answer_reader *r, uint8_t *out, size_t len);

/* False with FAIL_CORRUPT when the answer was not what was asked for. */
MUST_USE bool answer_ok(const struct answer_reader *r, struct error *err);

/* A row of the table as read back. */
struct line_row {
    struct stored_message stored; /* without parent and system's name */
    int64_t system, token;
    uint64_t expires_ns, version;
};

/* What is selected for line_row_read(), without and with the body. */
const char *line_row_columns(bool with_body);

/* Texts are borrowed from answer and arena. False when the arena is full or the answer malformed. */
MUST_USE bool line_row_read(struct answer_reader *r, struct arena *arena, struct line_row *row);

#endif
