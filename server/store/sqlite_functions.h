/*
 * What SQL needs of ours: ct_meta(json, key), ct_number(text), ct_type(n),
 * ct_id(key), ct_bucket(time_ns, interval), ct_percentile(value, fraction), ct_uniq(number).
 */
#ifndef SERVER_STORE_SQLITE_FUNCTIONS_H
#define SERVER_STORE_SQLITE_FUNCTIONS_H

#include "server/store/sqlite_db.h"
#include "server/store/zone.h"

bool sqlite_functions_add(sqlite3 *db, struct error *err);

/* ct_bucket(time_ns): where the time's interval begins, in `zone` (borrowed until set again). */
struct bucket_rule {
    int interval; /* enum aggregate_interval */
    const struct zone *zone;
};
bool sqlite_functions_set_bucket(sqlite3 *db, const struct bucket_rule *rule, struct error *err);

#endif
