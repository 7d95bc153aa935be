/*
 * Questions about people and their metrics, the same in every dialect but for how a parameter is
 * written. Private to server/store.
 */
#ifndef SERVER_STORE_PEOPLE_SQL_H
#define SERVER_STORE_PEOPLE_SQL_H

/*
 * Everyone since day FROM: the person, the time of the newest row of a type below TYPES, the last day
 * of a metric point (-1: none), rows, tokens and cost. Days and sums come from the rollups, the
 * time of the newest row from its person's index: heartbeats of a machine lie between, but only
 * those of one day.
 */
#define PEOPLE_SQL(FROM, TYPES)                                                                    \
    "WITH r AS (SELECT person, max(day) AS day, sum(n) AS n,"                                      \
    "  sum(input_tokens+output_tokens+cache_read_tokens+cache_create_tokens) AS tokens,"           \
    "  sum(cost+cost_computed) AS cost"                                                            \
    "  FROM rollup WHERE day>=" FROM " AND person<>0 AND type<" TYPES " GROUP BY person),"         \
    " u AS (SELECT person, max(day) AS day FROM usage_metric"                                      \
    "  WHERE day>=" FROM " AND person<>0 GROUP BY person),"                                        \
    " p AS (SELECT person FROM r UNION SELECT person FROM u)"                                      \
    " SELECT t.value, (SELECT m.time_ns FROM message m WHERE m.person=p.person AND m.person<>0"    \
    "   AND m.type<" TYPES                                                                         \
    " AND m.time_ns<(r.day+1)*86400000000000 ORDER BY m.time_ns DESC LIMIT 1),"                    \
    "  coalesce(u.day,-1), CAST(coalesce(r.n,0) AS BIGINT), CAST(coalesce(r.tokens,0) AS BIGINT)," \
    "  CAST(coalesce(r.cost,0) AS BIGINT)"                                                         \
    " FROM p JOIN text t ON t.id=p.person LEFT JOIN r ON r.person=p.person"                        \
    " LEFT JOIN u ON u.person=p.person ORDER BY t.value"

/* Who an account id belongs to. */
#define ACCOUNTS_SQL                                                           \
    "SELECT a.value, p.value FROM account JOIN text a ON a.id=account.account" \
    " JOIN text p ON p.id=account.person GROUP BY 1, 2 ORDER BY 1, 2"

/* Person, attributes and sum of a metric; METRIC is the number of its name. */
#define METRIC_SUMS_SQL(FROM, TO, METRIC)                                \
    "SELECT coalesce(p.value,''), coalesce(a.value,''), s.total FROM"    \
    " (SELECT person, attributes, sum(value) AS total FROM usage_metric" \
    "  WHERE day BETWEEN " FROM " AND " TO " AND metric=" METRIC         \
    "  GROUP BY person, attributes) s"                                   \
    " LEFT JOIN text p ON p.id=s.person LEFT JOIN text a ON a.id=s.attributes ORDER BY 1,2"

#endif
