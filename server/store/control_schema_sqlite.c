/* The control store's tables in SQLite, step by step: a step that was released is never changed. */
#include "server/store/control_sql.h"

static const char FIRST[] =
    "CREATE TABLE system(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " created_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE token(id INTEGER PRIMARY KEY, system INTEGER NOT NULL REFERENCES system(id),"
    " sha256 BLOB NOT NULL UNIQUE, prefix TEXT NOT NULL, person TEXT NOT NULL,"
    " retention_days INTEGER NOT NULL, plan INTEGER NOT NULL, device INTEGER NOT NULL,"
    " records_per_s INTEGER NOT NULL, created_ns INTEGER NOT NULL, last_used_ns INTEGER NOT NULL,"
    " revoked_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE user(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, role INTEGER NOT NULL,"
    " password TEXT NOT NULL, created_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE value(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;";

static const char FLEET[] =
    "CREATE TABLE enrollment_secret(id INTEGER PRIMARY KEY,"
    " system INTEGER NOT NULL REFERENCES system(id), sha256 BLOB NOT NULL UNIQUE,"
    " prefix TEXT NOT NULL, note TEXT NOT NULL, created_ns INTEGER NOT NULL,"
    " expires_ns INTEGER NOT NULL, revoked_ns INTEGER NOT NULL, used_total INTEGER NOT NULL) "
    "STRICT;"
    "CREATE TABLE device(id INTEGER PRIMARY KEY, device_id TEXT NOT NULL UNIQUE,"
    " hardware_id TEXT NOT NULL UNIQUE, system INTEGER NOT NULL REFERENCES system(id),"
    " token INTEGER NOT NULL REFERENCES token(id), hostname TEXT NOT NULL, os TEXT NOT NULL,"
    " os_version TEXT NOT NULL, arch TEXT NOT NULL, agent_version TEXT NOT NULL,"
    " owner TEXT NOT NULL, enrolled_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL DEFAULT 0,"
    " last_data_ns INTEGER NOT NULL DEFAULT 0, interval_s INTEGER NOT NULL DEFAULT 60,"
    " disconnected INTEGER NOT NULL DEFAULT 0, sequence_num INTEGER NOT NULL DEFAULT 0,"
    " evicted_total INTEGER NOT NULL DEFAULT 0, drift_total INTEGER NOT NULL DEFAULT 0,"
    " evicted_delta INTEGER NOT NULL DEFAULT 0, drift_delta INTEGER NOT NULL DEFAULT 0,"
    " clock_skew_s INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 3,"
    " state_code TEXT NOT NULL DEFAULT 'never_seen', state_reason TEXT NOT NULL DEFAULT '',"
    " state_since_ns INTEGER NOT NULL DEFAULT 0, heartbeat TEXT NOT NULL DEFAULT '',"
    " report TEXT NOT NULL DEFAULT '', report_ns INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX device_token ON device(token);"
    "CREATE TABLE flip(id INTEGER PRIMARY KEY, subject TEXT NOT NULL, was TEXT NOT NULL,"
    " is_now TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL) "
    "STRICT;"
    "CREATE INDEX flip_subject ON flip(subject, id);"
    "CREATE TABLE command(id TEXT PRIMARY KEY, device INTEGER NOT NULL REFERENCES device(id) ON"
    " DELETE CASCADE, type TEXT NOT NULL, created_ns INTEGER NOT NULL, sent_ns INTEGER NOT NULL,"
    " done_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX command_open ON command(device) WHERE done_ns=0;";

#define USAGE_TYPES                                                                              \
    "report INTEGER NOT NULL, day TEXT NOT NULL, email TEXT NOT NULL, account_id TEXT NOT NULL," \
    " api_key_name TEXT NOT NULL, deleted INTEGER NOT NULL, model TEXT NOT NULL,"                \
    " input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,"             \
    " cache_create INTEGER NOT NULL, cost_1e8_usd INTEGER NOT NULL, requests INTEGER NOT NULL,"  \
    " sessions INTEGER NOT NULL, commits INTEGER NOT NULL, pull_requests INTEGER NOT NULL,"      \
    " lines_added INTEGER NOT NULL, lines_removed INTEGER NOT NULL,"                             \
    " edits_accepted INTEGER NOT NULL, edits_rejected INTEGER NOT NULL"

static const char API_USAGE[] =
    "CREATE TABLE api_usage(id INTEGER PRIMARY KEY, imported_ns INTEGER NOT NULL, " USAGE_TYPES
    ") STRICT;"
    "CREATE INDEX api_usage_day ON api_usage(day, report);"
    "CREATE TABLE api_chunk(id INTEGER PRIMARY KEY, report INTEGER NOT NULL, from_day TEXT NOT "
    "NULL,"
    " to_day TEXT NOT NULL, cursor TEXT NOT NULL, UNIQUE(report, from_day, to_day)) STRICT;"
    "CREATE TABLE api_staged(chunk INTEGER NOT NULL REFERENCES api_chunk(id) ON DELETE CASCADE,"
    " " USAGE_TYPES ") STRICT;"
    "CREATE INDEX api_staged_chunk ON api_staged(chunk);"
    "CREATE TABLE api_import(report INTEGER PRIMARY KEY, attempt_ns INTEGER NOT NULL,"
    " success_ns INTEGER NOT NULL, rejected INTEGER NOT NULL, error TEXT NOT NULL,"
    " drift TEXT NOT NULL, newest_day TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE TABLE api_lock(one INTEGER PRIMARY KEY CHECK(one=1), owner TEXT NOT NULL,"
    " until_ns INTEGER NOT NULL) STRICT;";

/* Triggers keep honest mistakes from changing it; the chain of hashes shows the rest. */
static const char AUDIT[] =
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL,"
    " role TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, source TEXT NOT NULL,"
    " hash BLOB NOT NULL) STRICT;"
    "CREATE TRIGGER audit_keeps BEFORE DELETE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;"
    "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;";

/* Whose usage must not come back with a later import. */
static const char API_ERASED[] =
    "CREATE TABLE api_erased(email TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;";

static const char HEALTH[] =
    "CREATE TABLE health(subject TEXT PRIMARY KEY, name TEXT NOT NULL, state INTEGER NOT NULL,"
    " code TEXT NOT NULL, reason TEXT NOT NULL, action TEXT NOT NULL, since_ns INTEGER NOT NULL,"
    " last_seen_ns INTEGER NOT NULL, last_data_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "ALTER TABLE token ADD COLUMN limited_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN malformed_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN logs_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN metrics_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN traces_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN tokens_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN cost_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN evicted_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN drift_hour_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN drift_hour_total INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN backlog_records INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN backlog_growing_ns INTEGER NOT NULL DEFAULT 0;";

static const char SESSION[] =
    "ALTER TABLE user ADD COLUMN valid_from_ns INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE session(sha256 BLOB PRIMARY KEY, email TEXT NOT NULL, begun_ns INTEGER NOT NULL,"
    " used_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX session_email ON session(email, begun_ns);";

static const char DEVICE_TOKEN[] =
    "ALTER TABLE device ADD COLUMN pending_token INTEGER NOT NULL DEFAULT 0;";

/* What one process at a time does, importing among it. */
static const char LEASE[] =
    "CREATE TABLE lease(name TEXT PRIMARY KEY, owner TEXT NOT NULL, until_ns INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "DROP TABLE api_lock;";

const char *const CONTROL_SQLITE_STEPS[] = {FIRST,  FLEET,   API_USAGE,    AUDIT, API_ERASED,
                                            HEALTH, SESSION, DEVICE_TOKEN, LEASE};
const int CONTROL_SQLITE_STEP_COUNT = sizeof CONTROL_SQLITE_STEPS / sizeof *CONTROL_SQLITE_STEPS;
