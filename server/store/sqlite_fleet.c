/* The fleet's part of the SQLite control store. */
#include <stdio.h>
#include <string.h>

#include "server/store/sqlite_control.h"

const char SQLITE_FLEET_SCHEMA[] =
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

/* Runs a statement that gives no rows; FAIL_NOT_FOUND when it changed none and `missing` is given.
 */
static bool finish(struct control_store *store, sqlite3_stmt *q, const char *missing,
                   struct error *err)
{
    bool ok = sqlite_do(control_db(store), q, err);
    if (ok && missing && sqlite3_changes(control_db(store)) == 0)
        ok = error_set(err, FAIL_NOT_FOUND, "%s", missing);
    control_end(store, q);
    return ok;
}

static void bind_text(sqlite3_stmt *q, int at, const char *text)
{
    sqlite_bind_bytes(q, at, bytes_of(text));
}

/* ---- Enrolment secrets ---- */

static bool secret_create(struct control_store *store, const struct fleet_secret *secret,
                          struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "INSERT INTO enrollment_secret(system,sha256,prefix,note,created_ns,expires_ns,revoked_ns,"
        "used_total) VALUES(?1,?2,?3,?4,?5,?6,0,0)",
        err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, secret->system_id);
    sqlite_bind_raw(q, 2, secret->sha256, sizeof secret->sha256);
    bind_text(q, 3, secret->prefix);
    bind_text(q, 4, secret->note);
    sqlite3_bind_int64(q, 5, (int64_t)secret->created_ns);
    sqlite3_bind_int64(q, 6, (int64_t)secret->expires_ns);
    return finish(store, q, NULL, err);
}

#define SECRET_COLUMNS                                                               \
    "id,system,sha256,prefix,note,created_ns,expires_ns,revoked_ns,used_total FROM " \
    "enrollment_secret "

static void read_secret(sqlite3_stmt *q, struct fleet_secret *out)
{
    *out = (struct fleet_secret){
        .id = sqlite3_column_int64(q, 0),
        .system_id = sqlite3_column_int64(q, 1),
        .created_ns = (uint64_t)sqlite3_column_int64(q, 5),
        .expires_ns = (uint64_t)sqlite3_column_int64(q, 6),
        .revoked_ns = (uint64_t)sqlite3_column_int64(q, 7),
        .used_total = (uint64_t)sqlite3_column_int64(q, 8),
    };
    struct bytes hash = sqlite_text_at(q, 2);
    if (hash.len == sizeof out->sha256)
        memcpy(out->sha256, hash.data, hash.len);
    control_text(q, 3, out->prefix, sizeof out->prefix);
    control_text(q, 4, out->note, sizeof out->note);
}

static bool secret_list(struct control_store *store, fleet_secret_visit *visit, void *context,
                        struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "SELECT " SECRET_COLUMNS "ORDER BY id", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct fleet_secret secret;
        read_secret(q, &secret);
        if (!visit(context, &secret))
            break;
    }
    if (q)
        control_end(store, q);
    return ok;
}

static bool secret_use(struct control_store *store, const uint8_t sha256[FLEET_HASH_BYTES],
                       struct fleet_secret *out, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "UPDATE enrollment_secret SET used_total=used_total+1 WHERE sha256=?1 RETURNING "
        "id,system,sha256,prefix,note,created_ns,expires_ns,revoked_ns,used_total",
        err);
    bool row = false;
    if (!q)
        return false;
    sqlite_bind_raw(q, 1, sha256, FLEET_HASH_BYTES);
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row) {
        read_secret(q, out);
        ok = sqlite_next(control_db(store), q, &row, err); /* ends the statement, and so commits */
    } else if (ok) {
        ok = error_set(err, FAIL_NOT_FOUND, "the enrolment secret is unknown");
        error_remedy(err, "claude-telemetry-server enrollment-secret create");
    }
    control_end(store, q);
    return ok;
}

static bool secret_revoke(struct control_store *store, const char *prefix, uint64_t now_ns,
                          struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store,
                      "UPDATE enrollment_secret SET revoked_ns=?2 WHERE prefix=?1 AND revoked_ns=0",
                      err);
    if (!q)
        return false;
    bind_text(q, 1, prefix);
    sqlite3_bind_int64(q, 2, (int64_t)now_ns);
    if (finish(store, q, "no enrolment secret with this prefix is in force", err))
        return true;
    return error_remedy(err, "claude-telemetry-server enrollment-secret list");
}

/* ---- Devices ---- */

#define DEVICE_COLUMNS                                                                       \
    "id,device_id,hardware_id,system,token,hostname,os,os_version,arch,agent_version,owner," \
    "enrolled_ns,last_seen_ns,last_data_ns,interval_s,disconnected,sequence_num,"            \
    "evicted_total,drift_total,evicted_delta,drift_delta,clock_skew_s,state,state_code,"     \
    "state_reason,state_since_ns,evicted_ns,drift_hour_ns,drift_hour_total,backlog_records," \
    "backlog_growing_ns,heartbeat,"                                                          \
    "(SELECT t.created_ns FROM token t WHERE t.id=device.token) FROM device "
enum { DEVICE_HEARTBEAT_COLUMN = 31 };

static void read_device(sqlite3_stmt *q, struct fleet_device *out)
{
    *out = (struct fleet_device){
        .id = sqlite3_column_int64(q, 0),
        .system_id = sqlite3_column_int64(q, 3),
        .token_id = sqlite3_column_int64(q, 4),
        .enrolled_ns = (uint64_t)sqlite3_column_int64(q, 11),
        .last_seen_ns = (uint64_t)sqlite3_column_int64(q, 12),
        .last_data_ns = (uint64_t)sqlite3_column_int64(q, 13),
        .interval_s = (uint32_t)sqlite3_column_int64(q, 14),
        .disconnected = sqlite3_column_int(q, 15) != 0,
        .sequence_num = (uint64_t)sqlite3_column_int64(q, 16),
        .evicted_total = (uint64_t)sqlite3_column_int64(q, 17),
        .drift_repairs_total = (uint64_t)sqlite3_column_int64(q, 18),
        .evicted_delta = (uint64_t)sqlite3_column_int64(q, 19),
        .drift_repairs_delta = (uint64_t)sqlite3_column_int64(q, 20),
        .clock_skew_s = sqlite3_column_int64(q, 21),
        .state = sqlite3_column_int(q, 22),
        .state_since_ns = (uint64_t)sqlite3_column_int64(q, 25),
        .evicted_ns = (uint64_t)sqlite3_column_int64(q, 26),
        .drift_hour_ns = (uint64_t)sqlite3_column_int64(q, 27),
        .drift_hour_total = (uint64_t)sqlite3_column_int64(q, 28),
        .backlog_records = (uint64_t)sqlite3_column_int64(q, 29),
        .backlog_growing_ns = (uint64_t)sqlite3_column_int64(q, 30),
        .token_created_ns = (uint64_t)sqlite3_column_int64(q, DEVICE_HEARTBEAT_COLUMN + 1),
    };
    control_text(q, 1, out->device_id, sizeof out->device_id);
    control_text(q, 2, out->hardware_id, sizeof out->hardware_id);
    control_text(q, 5, out->hostname, sizeof out->hostname);
    control_text(q, 6, out->os, sizeof out->os);
    control_text(q, 7, out->os_version, sizeof out->os_version);
    control_text(q, 8, out->arch, sizeof out->arch);
    control_text(q, 9, out->agent_version, sizeof out->agent_version);
    control_text(q, 10, out->owner, sizeof out->owner);
    control_text(q, 23, out->state_code, sizeof out->state_code);
    control_text(q, 24, out->state_reason, sizeof out->state_reason);
}

/*
 * One statement, so that two enrolments of one machine cannot both be new. The token that it
 * replaces is revoked in a second one: a crash between them leaves an unused token, no harm.
 */
static bool device_enroll(struct control_store *store, struct fleet_device *device, uint64_t now_ns,
                          struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "INSERT INTO device(device_id,hardware_id,system,token,hostname,os,os_version,arch,"
        "agent_version,owner,enrolled_ns,state_since_ns) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?11)"
        " ON CONFLICT(hardware_id) DO UPDATE SET system=?3,token=?4,pending_token=0,"
        "hostname=?5,os=?6,"
        "os_version=?7,arch=?8,agent_version=?9,owner=CASE ?10 WHEN '' THEN owner ELSE ?10 END,"
        "enrolled_ns=?11 RETURNING id,device_id",
        err);
    bool row = false;
    if (!q)
        return false;
    const char *const texts[] = {device->device_id, device->hardware_id};
    for (int i = 0; i < 2; i++)
        bind_text(q, i + 1, texts[i]);
    sqlite3_bind_int64(q, 3, device->system_id);
    sqlite3_bind_int64(q, 4, device->token_id);
    const char *const more[] = {device->hostname,      device->os,
                                device->os_version,    device->arch,
                                device->agent_version, device->owner};
    for (int i = 0; i < 6; i++)
        bind_text(q, i + 5, more[i]);
    sqlite3_bind_int64(q, 11, (int64_t)now_ns);

    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row) {
        device->id = sqlite3_column_int64(q, 0);
        control_text(q, 1, device->device_id, sizeof device->device_id);
        ok = sqlite_next(control_db(store), q, &row, err);
    }
    control_end(store, q);
    if (!ok)
        return error_wrap(err, "cannot enrol the device");

    q = control_begin(store,
                      "UPDATE token SET revoked_ns=?1 WHERE device=?2 AND id<>?3 AND revoked_ns=0",
                      err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, (int64_t)now_ns);
    sqlite3_bind_int64(q, 2, device->id);
    sqlite3_bind_int64(q, 3, device->token_id);
    if (!finish(store, q, NULL, err))
        return false;
    q = control_begin(store, "UPDATE token SET device=?1 WHERE id=?2", err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, device->id);
    sqlite3_bind_int64(q, 2, device->token_id);
    return finish(store, q, NULL, err);
}

static bool visit_devices(struct control_store *store, sqlite3_stmt *q, fleet_device_visit *visit,
                          void *context, uint32_t *seen, struct error *err)
{
    bool row = true, ok = true;
    while ((ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct fleet_device device;
        read_device(q, &device);
        ++*seen;
        if (!visit(context, &device, sqlite_text_at(q, DEVICE_HEARTBEAT_COLUMN)))
            break;
    }
    control_end(store, q);
    return ok;
}

static bool device_find(struct control_store *store, const char *device_id,
                        fleet_device_visit *visit, void *context, struct error *err)
{
    uint32_t seen = 0;
    sqlite3_stmt *q = control_begin(store, "SELECT " DEVICE_COLUMNS "WHERE device_id=?1", err);
    if (!q)
        return false;
    bind_text(q, 1, device_id);
    if (!visit_devices(store, q, visit, context, &seen, err))
        return false;
    return seen > 0 || error_set(err, FAIL_NOT_FOUND, "there is no device '%.60s'", device_id);
}

static bool copy_device(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    (void)heartbeat;
    *(struct fleet_device *)context = *device;
    return false;
}

static bool device_of_hardware(struct control_store *store, const char *hardware_id,
                               struct fleet_device *out, struct error *err)
{
    uint32_t seen = 0;
    sqlite3_stmt *q = control_begin(store, "SELECT " DEVICE_COLUMNS "WHERE hardware_id=?1", err);
    if (!q)
        return false;
    bind_text(q, 1, hardware_id);
    if (!visit_devices(store, q, copy_device, out, &seen, err))
        return false;
    return seen > 0 || error_set(err, FAIL_NOT_FOUND, "no device has this hardware id");
}

static bool device_of_token(struct control_store *store, int64_t token_id, struct fleet_device *out,
                            struct error *err)
{
    uint32_t seen = 0;
    sqlite3_stmt *q = control_begin(store, "SELECT " DEVICE_COLUMNS "WHERE token=?1", err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, token_id);
    if (!visit_devices(store, q, copy_device, out, &seen, err))
        return false;
    return seen > 0 || error_set(err, FAIL_NOT_FOUND, "no device has this token");
}

static bool device_list(struct control_store *store, fleet_device_visit *visit, void *context,
                        struct error *err)
{
    uint32_t seen = 0;
    sqlite3_stmt *q = control_begin(store, "SELECT " DEVICE_COLUMNS "ORDER BY hostname,id", err);
    return q && visit_devices(store, q, visit, context, &seen, err);
}

static bool device_update(struct control_store *store, const struct fleet_device *d,
                          struct bytes heartbeat, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "UPDATE device SET hostname=?2,os_version=?3,agent_version=?4,owner=?5,last_seen_ns=?6,"
        "last_data_ns=max(last_data_ns,?7),interval_s=?8,disconnected=?9,sequence_num=?10,"
        "evicted_total=?11,drift_total=?12,evicted_delta=?13,drift_delta=?14,clock_skew_s=?15,"
        "state=?16,state_code=?17,state_reason=?18,state_since_ns=?19,evicted_ns=?20,"
        "drift_hour_ns=?21,drift_hour_total=?22,backlog_records=?23,backlog_growing_ns=?24,"
        "heartbeat=CASE ?25 WHEN '' THEN heartbeat ELSE ?25 END WHERE id=?1",
        err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, d->id);
    bind_text(q, 2, d->hostname);
    bind_text(q, 3, d->os_version);
    bind_text(q, 4, d->agent_version);
    bind_text(q, 5, d->owner);
    const int64_t numbers[] = {(int64_t)d->last_seen_ns,
                               (int64_t)d->last_data_ns,
                               d->interval_s,
                               d->disconnected,
                               (int64_t)d->sequence_num,
                               (int64_t)d->evicted_total,
                               (int64_t)d->drift_repairs_total,
                               (int64_t)d->evicted_delta,
                               (int64_t)d->drift_repairs_delta,
                               d->clock_skew_s,
                               d->state};
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        sqlite3_bind_int64(q, 6 + i, numbers[i]);
    bind_text(q, 17, d->state_code);
    bind_text(q, 18, d->state_reason);
    sqlite3_bind_int64(q, 19, (int64_t)d->state_since_ns);
    const uint64_t more[] = {d->evicted_ns, d->drift_hour_ns, d->drift_hour_total,
                             d->backlog_records, d->backlog_growing_ns};
    for (int i = 0; i < (int)(sizeof more / sizeof *more); i++)
        sqlite3_bind_int64(q, 20 + i, (int64_t)more[i]);
    sqlite_bind_bytes(q, 25, heartbeat);
    return finish(store, q, "the device is gone", err);
}

static bool device_data(struct control_store *store, int64_t token_id, uint64_t now_ns,
                        struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "UPDATE device SET last_data_ns=max(last_data_ns,?2) WHERE "
                                    "id=(SELECT device FROM token WHERE id=?1)",
                                    err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, token_id);
    sqlite3_bind_int64(q, 2, (int64_t)now_ns);
    return finish(store, q, NULL, err);
}

static bool device_remove(struct control_store *store, const char *device_id, struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "DELETE FROM device WHERE device_id=?1", err);
    if (!q)
        return false;
    bind_text(q, 1, device_id);
    return finish(store, q, "there is no such device", err);
}

/* ---- State changes ---- */

static bool flip_add(struct control_store *store, const struct fleet_flip *flip, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store, "INSERT INTO flip(subject,was,is_now,code,reason,at_ns) VALUES(?1,?2,?3,?4,?5,?6)",
        err);
    if (!q)
        return false;
    const char *const texts[] = {flip->subject, flip->from, flip->to, flip->code, flip->reason};
    for (int i = 0; i < 5; i++)
        bind_text(q, i + 1, texts[i]);
    sqlite3_bind_int64(q, 6, (int64_t)flip->at_ns);
    return finish(store, q, NULL, err);
}

static bool flip_list(struct control_store *store, const char *subject, uint32_t max,
                      fleet_flip_visit *visit, void *context, struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "SELECT subject,was,is_now,code,reason,at_ns FROM flip WHERE"
                                    " ?1='' OR subject=?1 ORDER BY id DESC LIMIT ?2",
                                    err);
    bool row = true, ok = true;
    if (!q)
        return false;
    bind_text(q, 1, subject ? subject : "");
    sqlite3_bind_int64(q, 2, max);
    while ((ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct fleet_flip flip = {.at_ns = (uint64_t)sqlite3_column_int64(q, 5)};
        control_text(q, 0, flip.subject, sizeof flip.subject);
        control_text(q, 1, flip.from, sizeof flip.from);
        control_text(q, 2, flip.to, sizeof flip.to);
        control_text(q, 3, flip.code, sizeof flip.code);
        control_text(q, 4, flip.reason, sizeof flip.reason);
        if (!visit(context, &flip))
            break;
    }
    control_end(store, q);
    return ok;
}

/* ---- Commands and reports ---- */

static bool command_add(struct control_store *store, const struct fleet_command *command,
                        struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "INSERT INTO command(id,device,type,created_ns,sent_ns,done_ns) VALUES(?1,?2,?3,?4,0,0)",
        err);
    if (!q)
        return false;
    bind_text(q, 1, command->id);
    sqlite3_bind_int64(q, 2, command->device);
    bind_text(q, 3, command->type);
    sqlite3_bind_int64(q, 4, (int64_t)command->created_ns);
    return finish(store, q, NULL, err);
}

static bool command_take(struct control_store *store, int64_t device, uint64_t now_ns,
                         fleet_command_visit *visit, void *context, struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "UPDATE command SET sent_ns=?2 WHERE device=?1 AND done_ns=0"
                                    " RETURNING id,type,created_ns",
                                    err);
    bool row = true, ok = true, more = true;
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, device);
    sqlite3_bind_int64(q, 2, (int64_t)now_ns);
    while ((ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct fleet_command command = {.device = device,
                                        .sent_ns = now_ns,
                                        .created_ns = (uint64_t)sqlite3_column_int64(q, 2)};
        control_text(q, 0, command.id, sizeof command.id);
        control_text(q, 1, command.type, sizeof command.type);
        more = more && visit(context, &command); /* goes on to the end: that commits */
    }
    control_end(store, q);
    return ok;
}

static bool report_put(struct control_store *store, int64_t device, const char *command_id,
                       struct bytes report, uint64_t now_ns, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "UPDATE device SET report=?2,report_ns=?3 WHERE id=?1", err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, device);
    sqlite_bind_bytes(q, 2, report);
    sqlite3_bind_int64(q, 3, (int64_t)now_ns);
    if (!finish(store, q, "the device is gone", err))
        return false;
    if (command_id[0] == '\0')
        return true;
    q = control_begin(store,
                      "UPDATE command SET done_ns=?3 WHERE id=?1 AND device=?2 AND done_ns=0", err);
    if (!q)
        return false;
    bind_text(q, 1, command_id);
    sqlite3_bind_int64(q, 2, device);
    sqlite3_bind_int64(q, 3, (int64_t)now_ns);
    return finish(store, q, NULL, err);
}

static bool report_get(struct control_store *store, int64_t device, struct buffer *out,
                       uint64_t *at_ns, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "SELECT report,report_ns FROM device WHERE id=?1 AND report<>''", err);
    bool row = false;
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, device);
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && !row)
        ok = error_set(err, FAIL_NOT_FOUND, "no doctor report has come from this device");
    if (ok && !buffer_append(out, sqlite_text_at(q, 0)))
        ok = error_set(err, FAIL_TOO_LARGE, "the doctor report is too large");
    if (ok)
        *at_ns = (uint64_t)sqlite3_column_int64(q, 1);
    control_end(store, q);
    return ok;
}

const struct control_fleet_kind sqlite_fleet_kind = {
    .secret_create = secret_create,
    .secret_list = secret_list,
    .secret_use = secret_use,
    .secret_revoke = secret_revoke,
    .device_enroll = device_enroll,
    .device_token_offer = sqlite_device_token_offer,
    .device_token_take = sqlite_device_token_take,
    .device_find = device_find,
    .device_of_hardware = device_of_hardware,
    .device_of_token = device_of_token,
    .device_list = device_list,
    .device_update = device_update,
    .device_data = device_data,
    .device_remove = device_remove,
    .flip_add = flip_add,
    .flip_list = flip_list,
    .health_list = sqlite_health_list,
    .health_apply = sqlite_health_apply,
    .health_forget = sqlite_health_forget,
    .command_add = command_add,
    .command_take = command_take,
    .report_put = report_put,
    .report_get = report_get,
};
