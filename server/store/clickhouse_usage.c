#include "server/store/clickhouse_messages.h"
#include "server/store/usage_rows.h"

/* ---- Daily usage ---- */

/*
 * Both origins in one order, by the system's number: names are put in when reading. Points are in
 * FINAL as well, for the same one may have come to two servers.
 */
static void put_usage(struct sql *sql, int64_t from, int64_t to)
{
    static const char *const PARTS[] = {
        "SELECT "
        "day,person,system,session,model,origin,metric,attributes,value,requests,input,output,"
        "cache_read,cache_create,cost FROM (SELECT day,person,system,session,model,toUInt8(0) AS"
        " origin,'' AS metric,'' AS attributes,toFloat64(0) AS value,toInt64(count()) AS requests,"
        "sum(greatest(input_tokens,0)) AS input,sum(greatest(output_tokens,0)) AS output,"
        "sum(greatest(cache_read_tokens,0)) AS cache_read,"
        "sum(greatest(cache_create_tokens,0)) AS cache_create,sum(greatest(cost_micros,0)) AS cost"
        " FROM (SELECT day,person,system,session,model,input_tokens,output_tokens,"
        "cache_read_tokens,cache_create_tokens,cost AS cost_micros FROM " CLICKHOUSE_TABLE
        " FINAL WHERE kind=1 AND dead=0",
        ") GROUP BY day,person,system,session,model"
        " UNION ALL SELECT day,person,system,session,model,toUInt8(1) AS origin,name AS metric,"
        "text AS attributes,sum(value) AS value,toInt64(0) AS requests,toInt64(0) AS input,"
        "toInt64(0) AS output,toInt64(0) AS cache_read,toInt64(0) AS cache_create,"
        "toInt64(0) AS cost FROM (SELECT day,person,system,session,model,name,text,value "
        "FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=2",
        ") GROUP BY day,person,system,session,model,name,text HAVING value!=0)"
        " ORDER BY day,person,system,session,model,origin,metric,attributes FORMAT RowBinary"};
    for (int i = 0; i < 3; i++) {
        sql_put(sql, PARTS[i]);
        if (i == 2)
            break;
        sql_put(sql, " AND day>=");
        sql_put_int(sql, from < 0 ? 0 : from);
        sql_put(sql, " AND day<=");
        sql_put_int(sql, to < 0 ? 0 : to);
    }
}

static bool read_part(struct clickhouse_messages *s, struct answer_reader *r,
                      struct usage_part *part, struct error *err)
{
    *part = (struct usage_part){.day = answer_u32(r), .person = answer_text(r)};
    int64_t system = answer_i64(r);
    part->session = answer_text(r);
    part->model = answer_text(r);
    part->origin = answer_u8(r) ? USAGE_FROM_METRICS : USAGE_FROM_EVENTS;
    part->metric = answer_text(r);
    part->attributes = answer_text(r);
    part->value = answer_f64(r);
    part->requests = answer_i64(r);
    part->input_tokens = answer_i64(r);
    part->output_tokens = answer_i64(r);
    part->cache_read_tokens = answer_i64(r);
    part->cache_create_tokens = answer_i64(r);
    part->cost = answer_i64(r);
    return clickhouse_system_name(s, system, &part->system, err);
}

bool clickhouse_usage(struct message_store *store, const char *from_day, const char *to_day,
                      usage_visit *visit, void *context, struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    struct usage_reading reading;
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    int64_t from, to;
    if (!clickhouse_days(from_day, to_day, &from, &to, err))
        return false;
    sql_init(&sql);
    usage_reading_init(&reading, visit, context);
    put_usage(&sql, from, to);
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err);
    while (ok && answer_more(&r)) {
        struct usage_part part;
        ok = read_part(s, &r, &part, err);
        if (!ok || r.failed)
            break;
        if (!usage_reading_add(&reading, &part, err)) {
            ok = reading.stopped;
            break;
        }
    }
    ok = ok && (reading.stopped || answer_ok(&r, err));
    if (ok && !reading.stopped)
        usage_reading_end(&reading);
    usage_reading_clear(&reading);
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok || error_wrap(err, "cannot read daily usage");
}

bool clickhouse_metric_sums(struct message_store *store, const char *metric, const char *from_day,
                            const char *to_day, metric_sum_visit *visit, void *context,
                            struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    int64_t from, to;
    if (!clickhouse_days(from_day, to_day, &from, &to, err))
        return false;
    sql_init(&sql);
    sql_put(&sql,
            "SELECT person,text,sum(value) FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=2 AND day>=");
    sql_put_int(&sql, from < 0 ? 0 : from);
    sql_put(&sql, " AND day<=");
    sql_put_int(&sql, to < 0 ? 0 : to);
    sql_put(&sql, " AND name=");
    sql_put_quoted(&sql, bytes_of(metric));
    sql_put(&sql, " AND value!=0 GROUP BY person,text ORDER BY person,text FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err), more = true;
    while (ok && more && answer_more(&r)) {
        const struct bytes person = answer_text(&r), attributes = answer_text(&r);
        const struct metric_sum sum = {.person = person,
                                       .attributes = attributes,
                                       .value = answer_f64(&r)};
        more = !r.failed && visit(context, &sum);
    }
    ok = ok && ((!more && !r.failed) || answer_ok(&r, err));
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok || error_wrap(err, "cannot add up a metric");
}

/* ---- People ---- */

bool clickhouse_accounts(struct message_store *store, account_visit *visit, void *context,
                         struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT text,person FROM " CLICKHOUSE_TABLE
                  " FINAL WHERE kind=6 AND day=0 GROUP BY text,person ORDER BY text,person"
                  " FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err), more = true;
    while (ok && more && answer_more(&r)) {
        struct bytes account = answer_text(&r), person = answer_text(&r);
        more = !r.failed && visit(context, account, person);
    }
    ok = ok && ((!more && !r.failed) || answer_ok(&r, err));
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok;
}

bool clickhouse_people(struct message_store *store, const char *from_day,
                       message_person_visit *visit, void *context, struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    int64_t from, to;
    if (!clickhouse_days(from_day, from_day, &from, &to, err))
        return false;
    sql_init(&sql);
    /* Rows and points of one person are told apart by `metric_day`, which only points have. */
    sql_put(&sql,
            "SELECT person,max(time) AS last,max(metric_day) AS points,sum(n) AS n,"
            "sum(t) AS t,sum(c) AS c FROM (SELECT person,time_ns AS time,toInt64(-1) AS"
            " metric_day,toUInt64(1) AS n,toUInt64(greatest(input_tokens,0)+greatest("
            "output_tokens,0)+greatest(cache_read_tokens,0)+greatest(cache_create_tokens,0))"
            " AS t,toUInt64(greatest(cost,0)+greatest(cost_computed,0)) AS c FROM " CLICKHOUSE_TABLE
            " FINAL WHERE kind=0 AND dead=0 AND person!='' AND type<");
    sql_put_int(&sql, MESSAGE_HEARTBEAT);
    sql_put(&sql, " AND day>=");
    sql_put_int(&sql, from < 0 ? 0 : from);
    sql_put(&sql, " UNION ALL SELECT person,toUInt64(0) AS time,toInt64(day) AS metric_day,"
                  "toUInt64(0) AS n,toUInt64(0) AS t,toUInt64(0) AS c FROM " CLICKHOUSE_TABLE
                  " FINAL WHERE kind=2 AND person!='' AND value!=0 AND day>=");
    sql_put_int(&sql, from < 0 ? 0 : from);
    sql_put(&sql, ") GROUP BY person ORDER BY person FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err), more = true;
    while (ok && more && answer_more(&r)) {
        struct message_person person = {.person = answer_text(&r)};
        person.last_row_ns = answer_u64(&r);
        person.last_metric_day = answer_i64(&r);
        person.rows = answer_u64(&r);
        person.tokens = answer_u64(&r);
        person.cost_microcents = answer_u64(&r);
        more = !r.failed && visit(context, &person);
    }
    ok = ok && ((!more && !r.failed) || answer_ok(&r, err));
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok;
}
