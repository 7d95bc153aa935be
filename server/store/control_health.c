/* The states of persons, tokens, integrations and importers in the control store. */
#include <stdio.h>

#include "server/store/control_sql.h"

bool control_health_list(struct control_store *store, fleet_health_visit *visit, void *context,
                         struct error *err)
{
    struct sql_query *q = control_begin(store,
                                        "SELECT subject,name,state,code,reason,action,since_ns,"
                                        "last_seen_ns,last_data_ns FROM health ORDER BY subject",
                                        err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sql_next(q, &row, err)) && row) {
        struct fleet_health h = {.state = (int)sql_int_at(q, 2),
                                 .since_ns = sql_time_at(q, 6),
                                 .last_seen_ns = sql_time_at(q, 7),
                                 .last_data_ns = sql_time_at(q, 8)};
        sql_copy_text(q, 0, h.subject, sizeof h.subject);
        sql_copy_text(q, 1, h.name, sizeof h.name);
        sql_copy_text(q, 3, h.code, sizeof h.code);
        sql_copy_text(q, 4, h.reason, sizeof h.reason);
        sql_copy_text(q, 5, h.action, sizeof h.action);
        if (!visit(context, &h))
            break;
    }
    sql_end(q);
    return ok;
}

static bool put_states(struct sql_link *link, const struct fleet_health_changes *changes,
                       struct error *err)
{
    struct sql_query *q = sql_prepare(
        link,
        "INSERT INTO health(subject,name,state,code,reason,action,since_ns,last_seen_ns,"
        "last_data_ns) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT(subject) DO UPDATE SET"
        " name=?2,state=?3,code=?4,reason=?5,action=?6,since_ns=?7,last_seen_ns=?8,last_data_ns=?9",
        err);
    bool ok = q != NULL;
    for (size_t i = 0; ok && i < changes->put_count; i++) {
        const struct fleet_health *h = &changes->put[i];
        sql_bind_text(q, 1, h->subject);
        sql_bind_text(q, 2, h->name);
        sql_bind_int(q, 3, h->state);
        sql_bind_text(q, 4, h->code);
        sql_bind_text(q, 5, h->reason);
        sql_bind_text(q, 6, h->action);
        sql_bind_time(q, 7, h->since_ns);
        sql_bind_time(q, 8, h->last_seen_ns);
        sql_bind_time(q, 9, h->last_data_ns);
        ok = sql_do(q, err);
    }
    sql_end(q);
    return ok;
}

static bool add_flips(struct sql_link *link, const struct fleet_health_changes *changes,
                      struct error *err)
{
    struct sql_query *q = sql_prepare(
        link, "INSERT INTO flip(subject,was,is_now,code,reason,at_ns) VALUES(?1,?2,?3,?4,?5,?6)",
        err);
    bool ok = q != NULL;
    for (size_t i = 0; ok && i < changes->flip_count; i++) {
        const struct fleet_flip *f = &changes->flips[i];
        const char *const texts[] = {f->subject, f->from, f->to, f->code, f->reason};
        for (int t = 0; t < 5; t++)
            sql_bind_text(q, t + 1, texts[t]);
        sql_bind_time(q, 6, f->at_ns);
        ok = sql_do(q, err);
    }
    sql_end(q);
    return ok;
}

static bool remove_states(struct sql_link *link, const struct fleet_health_changes *changes,
                          struct error *err)
{
    struct sql_query *q = sql_prepare(link, "DELETE FROM health WHERE subject=?1", err);
    bool ok = q != NULL;
    for (size_t i = 0; ok && i < changes->removed_count; i++) {
        sql_bind_text(q, 1, changes->removed[i]);
        ok = sql_do(q, err);
    }
    sql_end(q);
    return ok;
}

static bool apply(void *context, struct sql_link *link, struct error *err)
{
    const struct fleet_health_changes *changes = context;
    return sql_lock(link, SQL_HEALTH, 0, err) && put_states(link, changes, err) &&
           add_flips(link, changes, err) && remove_states(link, changes, err);
}

bool control_health_apply(struct control_store *store, const struct fleet_health_changes *changes,
                          struct error *err)
{
    struct fleet_health_changes copy = *changes;
    return sql_transact(control_db(store), apply, &copy, err);
}

static bool forget(void *context, struct sql_link *link, struct error *err)
{
    static const char *const steps[] = {
        "DELETE FROM health WHERE subject='person:'||?1",
        "DELETE FROM flip WHERE subject='person:'||?1",
        "UPDATE device SET owner='',heartbeat='',report='' WHERE owner=?1",
    };
    bool ok = sql_lock(link, SQL_HEALTH, 0, err);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++) {
        struct sql_query *q = sql_prepare(link, steps[i], err);
        if (q)
            sql_bind_text(q, 1, context);
        ok = control_finish(q, NULL, err);
    }
    return ok;
}

bool control_health_forget(struct control_store *store, const char *email, struct error *err)
{
    char person[CONTROL_EMAIL_BYTES];
    snprintf(person, sizeof person, "%s", email);
    return sql_transact(control_db(store), forget, person, err);
}
