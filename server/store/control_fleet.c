/* The fleet's part of the control store. */
#include <stdio.h>
#include <string.h>

#include "server/store/control_sql.h"

/* ---- Enrolment secrets ---- */

static bool secret_create(struct control_store *store, const struct fleet_secret *secret,
                          struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "INSERT INTO enrollment_secret(system,sha256,prefix,note,created_ns,expires_ns,revoked_ns,"
        "used_total) VALUES(?1,?2,?3,?4,?5,?6,0,0)",
        err);
    if (!q)
        return false;
    sql_bind_int(q, 1, secret->system_id);
    sql_bind_blob(q, 2, secret->sha256, sizeof secret->sha256);
    sql_bind_text(q, 3, secret->prefix);
    sql_bind_text(q, 4, secret->note);
    sql_bind_time(q, 5, secret->created_ns);
    sql_bind_time(q, 6, secret->expires_ns);
    return control_finish(q, NULL, err);
}

#define SECRET_COLUMNS                                                               \
    "id,system,sha256,prefix,note,created_ns,expires_ns,revoked_ns,used_total FROM " \
    "enrollment_secret "

static void read_secret(struct sql_query *q, struct fleet_secret *out)
{
    *out = (struct fleet_secret){
        .id = sql_int_at(q, 0),
        .system_id = sql_int_at(q, 1),
        .created_ns = sql_time_at(q, 5),
        .expires_ns = sql_time_at(q, 6),
        .revoked_ns = sql_time_at(q, 7),
        .used_total = sql_time_at(q, 8),
    };
    struct bytes hash = sql_bytes_at(q, 2);
    if (hash.len == sizeof out->sha256)
        memcpy(out->sha256, hash.data, hash.len);
    sql_copy_text(q, 3, out->prefix, sizeof out->prefix);
    sql_copy_text(q, 4, out->note, sizeof out->note);
}

static bool secret_list(struct control_store *store, fleet_secret_visit *visit, void *context,
                        struct error *err)
{
    struct sql_query *q = control_begin(store, "SELECT " SECRET_COLUMNS "ORDER BY id", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sql_next(q, &row, err)) && row) {
        struct fleet_secret secret;
        read_secret(q, &secret);
        if (!visit(context, &secret))
            break;
    }
    sql_end(q);
    return ok;
}

static bool secret_use(struct control_store *store, const uint8_t sha256[FLEET_HASH_BYTES],
                       struct fleet_secret *out, struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "UPDATE enrollment_secret SET used_total=used_total+1 WHERE sha256=?1 RETURNING "
        "id,system,sha256,prefix,note,created_ns,expires_ns,revoked_ns,used_total",
        err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_blob(q, 1, sha256, FLEET_HASH_BYTES);
    bool ok = sql_next(q, &row, err);
    if (ok && row) {
        read_secret(q, out);
        ok = sql_next(q, &row, err); /* ends the statement, and so commits */
    } else if (ok) {
        ok = error_set(err, FAIL_NOT_FOUND, "the enrolment secret is unknown");
        error_remedy(err, "claude-telemetry-server enrollment-secret create");
    }
    sql_end(q);
    return ok;
}

static bool secret_revoke(struct control_store *store, const char *prefix, uint64_t now_ns,
                          struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "UPDATE enrollment_secret SET revoked_ns=?2 WHERE prefix=?1 AND revoked_ns=0",
                      err);
    if (!q)
        return false;
    sql_bind_text(q, 1, prefix);
    sql_bind_time(q, 2, now_ns);
    if (control_finish(q, "no enrolment secret with this prefix is in force", err))
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

static void read_device(struct sql_query *q, struct fleet_device *out)
{
    *out = (struct fleet_device){
        .id = sql_int_at(q, 0),
        .system_id = sql_int_at(q, 3),
        .token_id = sql_int_at(q, 4),
        .enrolled_ns = sql_time_at(q, 11),
        .last_seen_ns = sql_time_at(q, 12),
        .last_data_ns = sql_time_at(q, 13),
        .interval_s = (uint32_t)sql_int_at(q, 14),
        .disconnected = sql_int_at(q, 15) != 0,
        .sequence_num = sql_time_at(q, 16),
        .evicted_total = sql_time_at(q, 17),
        .drift_repairs_total = sql_time_at(q, 18),
        .evicted_delta = sql_time_at(q, 19),
        .drift_repairs_delta = sql_time_at(q, 20),
        .clock_skew_s = sql_int_at(q, 21),
        .state = (int)sql_int_at(q, 22),
        .state_since_ns = sql_time_at(q, 25),
        .evicted_ns = sql_time_at(q, 26),
        .drift_hour_ns = sql_time_at(q, 27),
        .drift_hour_total = sql_time_at(q, 28),
        .backlog_records = sql_time_at(q, 29),
        .backlog_growing_ns = sql_time_at(q, 30),
        .token_created_ns = sql_time_at(q, DEVICE_HEARTBEAT_COLUMN + 1),
    };
    sql_copy_text(q, 1, out->device_id, sizeof out->device_id);
    sql_copy_text(q, 2, out->hardware_id, sizeof out->hardware_id);
    sql_copy_text(q, 5, out->hostname, sizeof out->hostname);
    sql_copy_text(q, 6, out->os, sizeof out->os);
    sql_copy_text(q, 7, out->os_version, sizeof out->os_version);
    sql_copy_text(q, 8, out->arch, sizeof out->arch);
    sql_copy_text(q, 9, out->agent_version, sizeof out->agent_version);
    sql_copy_text(q, 10, out->owner, sizeof out->owner);
    sql_copy_text(q, 23, out->state_code, sizeof out->state_code);
    sql_copy_text(q, 24, out->state_reason, sizeof out->state_reason);
}

struct enrolment {
    struct fleet_device *device;
    uint64_t now_ns;
};

static void bind_enrolment(struct sql_query *q, const struct fleet_device *device, uint64_t now_ns)
{
    sql_bind_text(q, 1, device->device_id);
    sql_bind_text(q, 2, device->hardware_id);
    sql_bind_int(q, 3, device->system_id);
    sql_bind_int(q, 4, device->token_id);
    const char *const texts[] = {device->hostname,      device->os,
                                 device->os_version,    device->arch,
                                 device->agent_version, device->owner};
    for (int i = 0; i < 6; i++)
        sql_bind_text(q, i + 5, texts[i]);
    sql_bind_time(q, 11, now_ns);
}

/* Whoever takes or offers a token of this device waits until it is enrolled, or comes before. */
static bool lock_hardware(struct sql_link *link, const char *hardware_id, struct error *err)
{
    bool row = false;
    struct sql_query *q = sql_prepare(link, "SELECT id FROM device WHERE hardware_id=?1", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, hardware_id);
    bool ok = sql_next(q, &row, err);
    int64_t id = ok && row ? sql_int_at(q, 0) : 0;
    sql_end(q);
    return ok && (id == 0 || sql_lock(link, SQL_DEVICE, id, err));
}

/* One statement makes or finds the device, so that two enrolments of one machine cannot both be new. */
static bool enrol(void *context, struct sql_link *link, struct error *err)
{
    const struct enrolment *e = context;
    struct fleet_device *device = e->device;
    bool row = false;
    if (!lock_hardware(link, device->hardware_id, err))
        return false;
    struct sql_query *q = sql_prepare(
        link,
        "INSERT INTO device(device_id,hardware_id,system,token,hostname,os,os_version,arch,"
        "agent_version,owner,enrolled_ns,state_since_ns) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?11)"
        " ON CONFLICT(hardware_id) DO UPDATE SET system=?3,token=?4,pending_token=0,"
        "hostname=?5,os=?6,os_version=?7,arch=?8,agent_version=?9,"
        "owner=CASE ?10 WHEN '' THEN device.owner ELSE ?10 END,enrolled_ns=?11"
        " RETURNING id,device_id",
        err);
    if (!q)
        return false;
    bind_enrolment(q, device, e->now_ns);
    bool ok = sql_next(q, &row, err);
    if (ok && row) {
        device->id = sql_int_at(q, 0);
        sql_copy_text(q, 1, device->device_id, sizeof device->device_id);
        ok = sql_do(q, err);
    }
    sql_end(q);
    const int64_t numbers[] = {device->id, device->token_id, (int64_t)e->now_ns};
    return ok &&
           control_change(link,
                          "UPDATE token SET revoked_ns=?3 WHERE device=?1 AND id<>?2 AND"
                          " revoked_ns=0",
                          numbers, 3, NULL, err) &&
           control_change(link, "UPDATE token SET device=?1 WHERE id=?2", numbers, 2, NULL, err);
}

static bool device_enroll(struct control_store *store, struct fleet_device *device, uint64_t now_ns,
                          struct error *err)
{
    /* A second run of the transaction begins from what was asked. */
    struct fleet_device result = *device;
    struct enrolment e = {.device = &result, .now_ns = now_ns};
    if (!sql_transact(control_db(store), enrol, &e, err))
        return error_wrap(err, "cannot enrol the device");
    *device = result;
    return true;
}

static bool visit_devices(struct sql_query *q, fleet_device_visit *visit, void *context,
                          uint32_t *seen, struct error *err)
{
    bool row = true, ok = true;
    while ((ok = sql_next(q, &row, err)) && row) {
        struct fleet_device device;
        read_device(q, &device);
        ++*seen;
        if (!visit(context, &device, sql_bytes_at(q, DEVICE_HEARTBEAT_COLUMN)))
            break;
    }
    sql_end(q);
    return ok;
}

static bool device_find(struct control_store *store, const char *device_id,
                        fleet_device_visit *visit, void *context, struct error *err)
{
    uint32_t seen = 0;
    struct sql_query *q = control_begin(store, "SELECT " DEVICE_COLUMNS "WHERE device_id=?1", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, device_id);
    if (!visit_devices(q, visit, context, &seen, err))
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
    struct sql_query *q =
        control_begin(store, "SELECT " DEVICE_COLUMNS "WHERE hardware_id=?1", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, hardware_id);
    if (!visit_devices(q, copy_device, out, &seen, err))
        return false;
    return seen > 0 || error_set(err, FAIL_NOT_FOUND, "no device has this hardware id");
}

static bool device_of_token(struct control_store *store, int64_t token_id, struct fleet_device *out,
                            struct error *err)
{
    uint32_t seen = 0;
    struct sql_query *q = control_begin(store, "SELECT " DEVICE_COLUMNS "WHERE token=?1", err);
    if (!q)
        return false;
    sql_bind_int(q, 1, token_id);
    if (!visit_devices(q, copy_device, out, &seen, err))
        return false;
    return seen > 0 || error_set(err, FAIL_NOT_FOUND, "no device has this token");
}

static bool device_list(struct control_store *store, fleet_device_visit *visit, void *context,
                        struct error *err)
{
    uint32_t seen = 0;
    struct sql_query *q =
        control_begin(store, "SELECT " DEVICE_COLUMNS "ORDER BY hostname,id", err);
    return q && visit_devices(q, visit, context, &seen, err);
}

static bool device_update(struct control_store *store, const struct fleet_device *d,
                          struct bytes heartbeat, struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "UPDATE device SET hostname=?2,os_version=?3,agent_version=?4,owner=?5,last_seen_ns=?6,"
        "last_data_ns=CASE WHEN last_data_ns>?7 THEN last_data_ns ELSE ?7 END,"
        "interval_s=?8,disconnected=?9,sequence_num=?10,"
        "evicted_total=?11,drift_total=?12,evicted_delta=?13,drift_delta=?14,clock_skew_"
        "s=?15,"
        "state=?16,state_code=?17,state_reason=?18,state_since_ns=?19,evicted_ns=?20,"
        "drift_hour_ns=?21,drift_hour_total=?22,backlog_records=?23,backlog_growing_ns=?"
        "24,"
        "heartbeat=CASE ?25 WHEN '' THEN heartbeat ELSE ?25 END WHERE id=?1",
        err);
    if (!q)
        return false;
    sql_bind_int(q, 1, d->id);
    sql_bind_text(q, 2, d->hostname);
    sql_bind_text(q, 3, d->os_version);
    sql_bind_text(q, 4, d->agent_version);
    sql_bind_text(q, 5, d->owner);
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
        sql_bind_int(q, 6 + i, numbers[i]);
    sql_bind_text(q, 17, d->state_code);
    sql_bind_text(q, 18, d->state_reason);
    sql_bind_time(q, 19, d->state_since_ns);
    const uint64_t more[] = {d->evicted_ns, d->drift_hour_ns, d->drift_hour_total,
                             d->backlog_records, d->backlog_growing_ns};
    for (int i = 0; i < (int)(sizeof more / sizeof *more); i++)
        sql_bind_time(q, 20 + i, more[i]);
    sql_bind_bytes(q, 25, heartbeat);
    return control_finish(q, "the device is gone", err);
}

static bool device_judged(struct control_store *store, const struct fleet_device *d,
                          struct error *err)
{
    struct sql_query *q = control_begin(store,
                                        "UPDATE device SET state=?3,state_code=?4,state_reason=?5,"
                                        "state_since_ns=?6 WHERE id=?1 AND last_seen_ns=?2",
                                        err);
    if (!q)
        return false;
    sql_bind_int(q, 1, d->id);
    sql_bind_time(q, 2, d->last_seen_ns);
    sql_bind_int(q, 3, d->state);
    sql_bind_text(q, 4, d->state_code);
    sql_bind_text(q, 5, d->state_reason);
    sql_bind_time(q, 6, d->state_since_ns);
    return control_finish(q, "the device has reported meanwhile", err);
}

static bool device_data(struct control_store *store, int64_t token_id, uint64_t now_ns,
                        struct error *err)
{
    struct sql_query *q = control_begin(store,
                                        "UPDATE device SET last_data_ns=CASE WHEN last_data_ns>?2 "
                                        "THEN last_data_ns ELSE ?2 END WHERE "
                                        "id=(SELECT device FROM token WHERE id=?1)",
                                        err);
    if (!q)
        return false;
    sql_bind_int(q, 1, token_id);
    sql_bind_time(q, 2, now_ns);
    return control_finish(q, NULL, err);
}

struct removal {
    const char *device_id;
    uint64_t now_ns;
};

static bool remove_device(void *context, struct sql_link *link, struct error *err)
{
    const struct removal *removal = context;
    bool row = false;
    struct sql_query *q = sql_prepare(link, "SELECT id FROM device WHERE device_id=?1", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, removal->device_id);
    bool ok = sql_next(q, &row, err);
    const int64_t numbers[] = {ok && row ? sql_int_at(q, 0) : 0, (int64_t)removal->now_ns};
    sql_end(q);
    /* Locked, so that no token is offered to it in between, which would outlive it. */
    return ok && sql_lock(link, SQL_DEVICE, numbers[0], err) &&
           control_change(link, "UPDATE token SET revoked_ns=?2 WHERE device=?1 AND revoked_ns=0",
                          numbers, 2, NULL, err) &&
           control_change(link, "DELETE FROM device WHERE id=?1", numbers, 1,
                          "there is no such device", err);
}

static bool device_remove(struct control_store *store, const char *device_id, uint64_t now_ns,
                          struct error *err)
{
    struct removal removal = {.device_id = device_id, .now_ns = now_ns};
    return sql_transact(control_db(store), remove_device, &removal, err);
}

/* ---- State changes ---- */

static bool flip_add(struct control_store *store, const struct fleet_flip *flip, struct error *err)
{
    struct sql_query *q = control_begin(
        store, "INSERT INTO flip(subject,was,is_now,code,reason,at_ns) VALUES(?1,?2,?3,?4,?5,?6)",
        err);
    if (!q)
        return false;
    const char *const texts[] = {flip->subject, flip->from, flip->to, flip->code, flip->reason};
    for (int i = 0; i < 5; i++)
        sql_bind_text(q, i + 1, texts[i]);
    sql_bind_time(q, 6, flip->at_ns);
    return control_finish(q, NULL, err);
}

static bool flip_list(struct control_store *store, const char *subject, uint32_t max,
                      fleet_flip_visit *visit, void *context, struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "SELECT subject,was,is_now,code,reason,at_ns FROM flip WHERE"
                      " ?1='' OR subject=?1 ORDER BY id DESC LIMIT ?2",
                      err);
    bool row = true, ok = true;
    if (!q)
        return false;
    sql_bind_text(q, 1, subject ? subject : "");
    sql_bind_int(q, 2, max);
    while ((ok = sql_next(q, &row, err)) && row) {
        struct fleet_flip flip = {.at_ns = sql_time_at(q, 5)};
        sql_copy_text(q, 0, flip.subject, sizeof flip.subject);
        sql_copy_text(q, 1, flip.from, sizeof flip.from);
        sql_copy_text(q, 2, flip.to, sizeof flip.to);
        sql_copy_text(q, 3, flip.code, sizeof flip.code);
        sql_copy_text(q, 4, flip.reason, sizeof flip.reason);
        if (!visit(context, &flip))
            break;
    }
    sql_end(q);
    return ok;
}

/* ---- Commands and reports ---- */

static bool command_add(struct control_store *store, const struct fleet_command *command,
                        struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "INSERT INTO command(id,device,type,created_ns,sent_ns,done_ns) VALUES(?1,?2,?3,?4,0,0)",
        err);
    if (!q)
        return false;
    sql_bind_text(q, 1, command->id);
    sql_bind_int(q, 2, command->device);
    sql_bind_text(q, 3, command->type);
    sql_bind_time(q, 4, command->created_ns);
    return control_finish(q, NULL, err);
}

static bool command_take(struct control_store *store, int64_t device, uint64_t now_ns,
                         fleet_command_visit *visit, void *context, struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "UPDATE command SET sent_ns=?2 WHERE device=?1 AND done_ns=0"
                      " RETURNING id,type,created_ns",
                      err);
    bool row = true, ok = true, more = true;
    if (!q)
        return false;
    sql_bind_int(q, 1, device);
    sql_bind_time(q, 2, now_ns);
    while ((ok = sql_next(q, &row, err)) && row) {
        struct fleet_command command = {.device = device,
                                        .sent_ns = now_ns,
                                        .created_ns = sql_time_at(q, 2)};
        sql_copy_text(q, 0, command.id, sizeof command.id);
        sql_copy_text(q, 1, command.type, sizeof command.type);
        more = more && visit(context, &command); /* goes on to the end: that commits */
    }
    sql_end(q);
    return ok;
}

static bool report_put(struct control_store *store, int64_t device, const char *command_id,
                       struct bytes report, uint64_t now_ns, struct error *err)
{
    struct sql_query *q =
        control_begin(store, "UPDATE device SET report=?2,report_ns=?3 WHERE id=?1", err);
    if (!q)
        return false;
    sql_bind_int(q, 1, device);
    sql_bind_bytes(q, 2, report);
    sql_bind_time(q, 3, now_ns);
    if (!control_finish(q, "the device is gone", err))
        return false;
    if (command_id[0] == '\0')
        return true;
    q = control_begin(store,
                      "UPDATE command SET done_ns=?3 WHERE id=?1 AND device=?2 AND done_ns=0", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, command_id);
    sql_bind_int(q, 2, device);
    sql_bind_time(q, 3, now_ns);
    return control_finish(q, NULL, err);
}

static bool report_get(struct control_store *store, int64_t device, struct buffer *out,
                       uint64_t *at_ns, struct error *err)
{
    struct sql_query *q =
        control_begin(store, "SELECT report,report_ns FROM device WHERE id=?1 AND report<>''", err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_int(q, 1, device);
    bool ok = sql_next(q, &row, err);
    if (ok && !row)
        ok = error_set(err, FAIL_NOT_FOUND, "no doctor report has come from this device");
    if (ok && !buffer_append(out, sql_bytes_at(q, 0)))
        ok = error_set(err, FAIL_TOO_LARGE, "the doctor report is too large");
    if (ok)
        *at_ns = sql_time_at(q, 1);
    sql_end(q);
    return ok;
}

const struct control_fleet_kind control_fleet_kind = {
    .secret_create = secret_create,
    .secret_list = secret_list,
    .secret_use = secret_use,
    .secret_revoke = secret_revoke,
    .device_enroll = device_enroll,
    .device_token_offer = control_device_token_offer,
    .device_token_take = control_device_token_take,
    .device_find = device_find,
    .device_of_hardware = device_of_hardware,
    .device_of_token = device_of_token,
    .device_list = device_list,
    .device_update = device_update,
    .device_judged = device_judged,
    .device_data = device_data,
    .device_remove = device_remove,
    .flip_add = flip_add,
    .flip_list = flip_list,
    .health_list = control_health_list,
    .health_apply = control_health_apply,
    .health_forget = control_health_forget,
    .command_add = command_add,
    .command_take = command_take,
    .report_put = report_put,
    .report_get = report_get,
};
