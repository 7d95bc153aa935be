#include "server/store/sqlite_schema.h"

/*
 * Repeated texts are kept once, in `text`, and rows hold their number (0: absent): long text keys
 * in random order were the main cost of writing. The key begins with the time, so its index
 * grows at the end; only rows that can be joined are in the join index.
 */
static const char STEP_1[] =
    "CREATE TABLE text(id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;"

    "CREATE TABLE system(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"

    "CREATE TABLE message("
    " id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, time_ns INTEGER NOT NULL,"
    " received_ns INTEGER NOT NULL, type INTEGER NOT NULL, sources INTEGER NOT NULL,"
    " system INTEGER NOT NULL, token INTEGER NOT NULL, expires_ns INTEGER,"
    " join_hash INTEGER, join_weak INTEGER NOT NULL, parent_join INTEGER,"
    " service INTEGER NOT NULL, model INTEGER NOT NULL, person INTEGER NOT NULL,"
    " person_rank INTEGER NOT NULL, account_uuid INTEGER NOT NULL, account_id INTEGER NOT NULL,"
    " name INTEGER NOT NULL, session INTEGER NOT NULL, prompt INTEGER NOT NULL,"
    " tool INTEGER NOT NULL,"
    " input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER,"
    " cache_create_tokens INTEGER, cost INTEGER, cost_computed INTEGER, duration_ms INTEGER,"
    " success INTEGER, trace_id BLOB, span_id BLOB, parent_span_id BLOB,"
    " request_id TEXT, tool_use_id TEXT, event_fields INTEGER NOT NULL,"
    " event_metadata_keys INTEGER NOT NULL, body_truncated INTEGER NOT NULL,"
    " metadata TEXT NOT NULL, body TEXT) STRICT;"
    "CREATE INDEX message_time ON message(time_ns, key);"
    "CREATE INDEX message_session ON message(session, time_ns) WHERE session<>0;"
    "CREATE INDEX message_person ON message(person, time_ns) WHERE person<>0;"
    "CREATE INDEX message_join ON message(join_hash) WHERE join_hash IS NOT NULL;"
    "CREATE INDEX message_expires ON message(expires_ns) WHERE expires_ns IS NOT NULL;"

    /* Sums of the rows of one UTC day, changed in the same transaction as the rows. */
    "CREATE TABLE rollup(day INTEGER NOT NULL, system INTEGER NOT NULL, type INTEGER NOT NULL,"
    " model INTEGER NOT NULL, person INTEGER NOT NULL, n INTEGER NOT NULL,"
    " input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " cache_read_tokens INTEGER NOT NULL, cache_create_tokens INTEGER NOT NULL,"
    " cost INTEGER NOT NULL, cost_computed INTEGER NOT NULL, duration_ms INTEGER NOT NULL,"
    " PRIMARY KEY(day, system, type, model, person)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE usage_event(day INTEGER NOT NULL, person INTEGER NOT NULL,"
    " system INTEGER NOT NULL, model INTEGER NOT NULL, session INTEGER NOT NULL,"
    " requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " cache_read_tokens INTEGER NOT NULL, cache_create_tokens INTEGER NOT NULL,"
    " cost INTEGER NOT NULL,"
    " PRIMARY KEY(day, person, system, model, session)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE usage_metric(day INTEGER NOT NULL, person INTEGER NOT NULL,"
    " system INTEGER NOT NULL, model INTEGER NOT NULL, session INTEGER NOT NULL,"
    " metric INTEGER NOT NULL, attributes INTEGER NOT NULL, value REAL NOT NULL,"
    " PRIMARY KEY(day, person, system, model, session, metric, attributes))"
    " STRICT, WITHOUT ROWID;"

    /* Points already counted, and the last running total of each cumulative series. */
    "CREATE TABLE point(key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE series(series BLOB NOT NULL, start_ns INTEGER NOT NULL,"
    " time_ns INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY(series, start_ns))"
    " STRICT, WITHOUT ROWID;"

    "CREATE TABLE stream(system INTEGER NOT NULL, stream TEXT NOT NULL, signal INTEGER NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL, seen_ns INTEGER NOT NULL,"
    " PRIMARY KEY(system, stream, signal, first)) STRICT, WITHOUT ROWID;"

    /* Who an account id belongs to, learned from records that carry both. */
    "CREATE TABLE account(system INTEGER NOT NULL, account INTEGER NOT NULL,"
    " person INTEGER NOT NULL, PRIMARY KEY(system, account)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE tombstone(person BLOB PRIMARY KEY, erased_ns INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;";

/*
 * Who asks for daily sums asks for one type of row. With the type first in the key, those of a
 * range of days lie together; before, all types' sums of those days were read.
 */
static const char STEP_2[] =
    "CREATE TABLE rollup_by_type(day INTEGER NOT NULL, system INTEGER NOT NULL,"
    " type INTEGER NOT NULL, model INTEGER NOT NULL, person INTEGER NOT NULL, n INTEGER NOT NULL,"
    " input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " cache_read_tokens INTEGER NOT NULL, cache_create_tokens INTEGER NOT NULL,"
    " cost INTEGER NOT NULL, cost_computed INTEGER NOT NULL, duration_ms INTEGER NOT NULL,"
    " PRIMARY KEY(type, day, system, model, person)) STRICT, WITHOUT ROWID;"
    "INSERT INTO rollup_by_type SELECT * FROM rollup ORDER BY type, day, system, model, person;"
    "DROP TABLE rollup;"
    "ALTER TABLE rollup_by_type RENAME TO rollup;"
    /* The same for what the sums do not tell: a type's rows without reading all others, and how
     * long its requests or tools took without reading the rows. */
    "CREATE INDEX message_type ON message(type, time_ns, model, tool, person, system, duration_ms,"
    " success);";

/*
 * What recognises repeats of points is forgotten some time after it was last met, not after what the
 * points tell of: days far back are imported, and repeated, as well.
 */
static const char STEP_3[] = "ALTER TABLE point ADD COLUMN seen_ns INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE series ADD COLUMN seen_ns INTEGER NOT NULL DEFAULT 0;";

const char *const SQLITE_MESSAGE_STEPS[] = {STEP_1, STEP_2, STEP_3};
const int SQLITE_MESSAGE_STEP_COUNT = sizeof SQLITE_MESSAGE_STEPS / sizeof *SQLITE_MESSAGE_STEPS;
