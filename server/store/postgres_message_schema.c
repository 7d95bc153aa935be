#include "server/store/postgres_messages.h"

/*
 * As in SQLite, repeated texts are kept once, in `text`, and rows hold their number (0: absent).
 * A text is found by the first half of its SHA-256, because an index takes texts of 2.7 kB at most.
 * Texts are in the order of their bytes, whatever the database's language is. Because `text` is a
 * table here, the type of that name is called varchar or pg_catalog.text.
 *
 * There is no number of a row's own: a joined row is written anew, which is what PostgreSQL does of
 * an update, too.
 */
static const char STEP_1[] =
    "CREATE TABLE text(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " hash bytea NOT NULL UNIQUE, value varchar COLLATE \"C\" NOT NULL);"

    "CREATE TABLE system(id bigint PRIMARY KEY, name varchar COLLATE \"C\" NOT NULL);"

    "CREATE TABLE message("
    " key bytea PRIMARY KEY, time_ns bigint NOT NULL, received_ns bigint NOT NULL,"
    " type smallint NOT NULL, sources smallint NOT NULL, system bigint NOT NULL,"
    " token bigint NOT NULL, expires_ns bigint,"
    " join_hash bigint, join_weak smallint NOT NULL, parent_join bigint,"
    " service bigint NOT NULL, model bigint NOT NULL, person bigint NOT NULL,"
    " person_rank smallint NOT NULL, account_uuid bigint NOT NULL, account_id bigint NOT NULL,"
    " name bigint NOT NULL, session bigint NOT NULL, prompt bigint NOT NULL,"
    " tool bigint NOT NULL,"
    " input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,"
    " cache_create_tokens bigint, cost bigint, cost_computed bigint, duration_ms bigint,"
    " success smallint, trace_id bytea, span_id bytea, parent_span_id bytea,"
    " request_id varchar, tool_use_id varchar, event_fields bigint NOT NULL,"
    " event_metadata_keys bigint NOT NULL, body_truncated smallint NOT NULL,"
    " metadata json NOT NULL, body varchar);"
    "CREATE INDEX message_time ON message(time_ns, key);"
    "CREATE INDEX message_session ON message(session, time_ns) WHERE session<>0;"
    "CREATE INDEX message_person ON message(person, time_ns) WHERE person<>0;"
    "CREATE INDEX message_join ON message(join_hash) WHERE join_hash IS NOT NULL;"
    "CREATE INDEX message_expires ON message(expires_ns) WHERE expires_ns IS NOT NULL;"
    "CREATE INDEX message_type ON message(type, time_ns);"

    /* Sums of the rows of one UTC day, changed in the same transaction as the rows. */
    "CREATE TABLE rollup(type bigint NOT NULL, day bigint NOT NULL, system bigint NOT NULL,"
    " model bigint NOT NULL, person bigint NOT NULL, n bigint NOT NULL,"
    " input_tokens bigint NOT NULL, output_tokens bigint NOT NULL,"
    " cache_read_tokens bigint NOT NULL, cache_create_tokens bigint NOT NULL,"
    " cost bigint NOT NULL, cost_computed bigint NOT NULL, duration_ms bigint NOT NULL,"
    " PRIMARY KEY(type, day, system, model, person));"

    "CREATE TABLE usage_event(day bigint NOT NULL, person bigint NOT NULL,"
    " system bigint NOT NULL, model bigint NOT NULL, session bigint NOT NULL,"
    " requests bigint NOT NULL, input_tokens bigint NOT NULL, output_tokens bigint NOT NULL,"
    " cache_read_tokens bigint NOT NULL, cache_create_tokens bigint NOT NULL,"
    " cost bigint NOT NULL, PRIMARY KEY(day, person, system, model, session));"

    "CREATE TABLE usage_metric(day bigint NOT NULL, person bigint NOT NULL,"
    " system bigint NOT NULL, model bigint NOT NULL, session bigint NOT NULL,"
    " metric bigint NOT NULL, attributes bigint NOT NULL, value double precision NOT NULL,"
    " PRIMARY KEY(day, person, system, model, session, metric, attributes));"

    /* Points already counted, and the last running total of each cumulative series. Forgotten some
     * time after they were last met, not after what they tell of: days far back come as well. */
    "CREATE TABLE point(key bytea PRIMARY KEY, seen_ns bigint NOT NULL);"
    "CREATE TABLE series(series bytea NOT NULL, start_ns bigint NOT NULL,"
    " time_ns bigint NOT NULL, value double precision NOT NULL, seen_ns bigint NOT NULL,"
    " PRIMARY KEY(series, start_ns));"

    "CREATE TABLE stream(system bigint NOT NULL, stream varchar COLLATE \"C\" NOT NULL,"
    " signal bigint NOT NULL, first bigint NOT NULL, last bigint NOT NULL,"
    " seen_ns bigint NOT NULL, PRIMARY KEY(system, stream, signal, first));"

    /* Who an account id belongs to, learned from records that carry both. */
    "CREATE TABLE account(system bigint NOT NULL, account bigint NOT NULL, person bigint NOT NULL,"
    " PRIMARY KEY(system, account));"

    "CREATE TABLE tombstone(person bytea PRIMARY KEY, erased_ns bigint NOT NULL);"

    /* What every process must know before it writes: how often somebody was erased, since when the
     * numbers of texts that it remembers may have changed. */
    "CREATE TABLE state(one smallint PRIMARY KEY CHECK(one=1), erasures bigint NOT NULL,"
    " probes bigint NOT NULL);"
    "INSERT INTO state VALUES(1,0,0);";

/* The functions of dialect.h. */
static const char STEP_2[] =
    "CREATE FUNCTION ct_meta(json, pg_catalog.text) RETURNS pg_catalog.text LANGUAGE sql IMMUTABLE "
    "PARALLEL SAFE AS"
    " 'SELECT $1->>$2';"
    /* What a double can hold: a larger one would fail the question. */
    "CREATE FUNCTION ct_number(pg_catalog.text) RETURNS numeric LANGUAGE sql IMMUTABLE"
    " PARALLEL SAFE AS $$SELECT CASE WHEN length($1)<=300 AND ($1 ~"
    " '^-?(0|[1-9][0-9]*)([.][0-9]+)?$' OR $1 ~ '^-?(0|[1-9][0-9]{0,7})([.][0-9]+)?[eE][+-]?"
    "([0-9]{1,2}|[12][0-9]{2})$') THEN $1::numeric END$$;"
    "CREATE FUNCTION ct_type(bigint) RETURNS pg_catalog.text LANGUAGE sql IMMUTABLE PARALLEL SAFE "
    "AS"
    " $$SELECT (ARRAY['ai.generation','ai.tool','ai.decision','ai.prompt','ai.response','ai.error',"
    "'ai.interaction','ai.event','log','span','agent.heartbeat','agent.doctor'])[$1+1]$$;"
    /* 26 characters of 5 bits each; the first holds 3 of the key's, behind 2 zeros. */
    "CREATE FUNCTION ct_id(bytea) RETURNS pg_catalog.text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS"
    " $$SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1+(((get_byte(k,p/8)<<8 |"
    " get_byte(k,p/8+1)) >> (11-p%8)) & 31), 1), '' ORDER BY p) FROM"
    " (SELECT '\\x00'::bytea||$1||'\\x00'::bytea AS k) a, generate_series(6,131,5) p"
    " WHERE $1 IS NOT NULL$$;";

const char *const POSTGRES_MESSAGE_STEPS[] = {STEP_1, STEP_2};
const int POSTGRES_MESSAGE_STEP_COUNT =
    sizeof POSTGRES_MESSAGE_STEPS / sizeof *POSTGRES_MESSAGE_STEPS;
