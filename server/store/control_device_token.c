/* A device's next token in the control store, from its offer to its first use. */
#include "server/store/control_sql.h"

struct offer {
    const struct fleet_device *device;
    const struct control_token *token;
};

static bool insert(struct sql_link *link, const struct control_token *token, int64_t *id,
                   struct error *err)
{
    bool row = false;
    struct sql_query *q = sql_prepare(link, CONTROL_TOKEN_INSERT, err);
    if (!q)
        return false;
    control_bind_token(q, token);
    bool ok = sql_next(q, &row, err);
    *id = ok && row ? sql_int_at(q, 0) : 0;
    ok = ok && sql_do(q, err);
    sql_end(q);
    return ok;
}

/* The new one comes before the pending one goes, so that no id is ever used twice. */
static bool replace_pending(void *context, struct sql_link *link, struct error *err)
{
    const struct offer *offer = context;
    const struct fleet_device *device = offer->device;
    int64_t id;
    if (!sql_lock(link, SQL_DEVICE, device->id, err) || !insert(link, offer->token, &id, err))
        return false;
    const int64_t numbers[] = {device->id, id, device->token_id};
    return control_change(link,
                          "DELETE FROM token WHERE id=(SELECT pending_token FROM device WHERE"
                          " id=?1)",
                          numbers, 1, NULL, err) &&
           control_change(link, "UPDATE device SET pending_token=?2 WHERE id=?1 AND token=?3",
                          numbers, 3, "the device is gone or has another token", err);
}

bool control_device_token_offer(struct control_store *store, const struct fleet_device *device,
                                const struct control_token *token, struct error *err)
{
    struct offer offer = {.device = device, .token = token};
    return sql_transact(control_db(store), replace_pending, &offer, err);
}

struct take {
    int64_t token_id;
    uint64_t now_ns;
};

/* Of two that use the token for the first time at once, the second one finds it taken. */
static bool lock_device_of(struct sql_link *link, int64_t token_id, struct error *err)
{
    bool row = false;
    struct sql_query *q = sql_prepare(link, "SELECT device FROM token WHERE id=?1", err);
    if (!q)
        return false;
    sql_bind_int(q, 1, token_id);
    bool ok = sql_next(q, &row, err);
    int64_t device = ok && row ? sql_int_at(q, 0) : 0;
    sql_end(q);
    return ok && sql_lock(link, SQL_DEVICE, device, err);
}

static bool put_in_force(void *context, struct sql_link *link, struct error *err)
{
    const struct take *take = context;
    const int64_t numbers[] = {take->token_id, (int64_t)take->now_ns};
    return lock_device_of(link, take->token_id, err) &&
           control_change(link,
                          "UPDATE token SET revoked_ns=?2 WHERE revoked_ns=0 AND id=(SELECT d.token"
                          " FROM token t JOIN device d ON d.id=t.device AND d.pending_token=t.id"
                          " WHERE t.id=?1)",
                          numbers, 2, "the token does not wait for its first use", err) &&
           control_change(link,
                          "UPDATE device SET token=?1,pending_token=0 WHERE"
                          " id=(SELECT device FROM token WHERE id=?1)",
                          numbers, 1, NULL, err);
}

bool control_device_token_take(struct control_store *store, int64_t token_id, uint64_t now_ns,
                               struct error *err)
{
    struct take take = {.token_id = token_id, .now_ns = now_ns};
    return sql_transact(control_db(store), put_in_force, &take, err);
}
