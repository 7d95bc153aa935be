/*
 * The columns of a whole row of `message m`, in the order that every kind reads them: see
 * sqlite_rows.c. Private to server/store.
 */
#ifndef SERVER_STORE_ROW_SQL_H
#define SERVER_STORE_ROW_SQL_H

#define ROW_TEXT(column) "(SELECT value FROM text WHERE id=m." column "),"
#define ROW_BEGAN(alias)                                                         \
    "(" alias ".time_ns-CASE WHEN (" alias ".sources&1)<>0 THEN coalesce(" alias \
    ".duration_ms,0)*1000000 ELSE 0 END)"

/*
 * A tool row names its generation by request id. Versions that do not send it leave the session:
 * the newest generation of the same prompt that had begun when the tool began.
 */
#define ROW_PARENT                                                                          \
    "CASE WHEN m.parent_join IS NOT NULL THEN"                                              \
    " (SELECT p.key FROM message p WHERE p.join_hash=m.parent_join AND p.system=m.system"   \
    "  AND p.type=0 AND p.join_weak=0 LIMIT 1)"                                             \
    " WHEN m.type=1 AND m.session<>0 THEN"                                                  \
    " (SELECT p.key FROM message p WHERE p.session=m.session AND p.session<>0 AND p.type=0" \
    "  AND p.system=m.system AND (p.prompt=m.prompt OR p.prompt=0 OR m.prompt=0)"           \
    "  AND p.time_ns BETWEEN m.time_ns-3600000000000 AND m.time_ns+600000000000"            \
    "  AND " ROW_BEGAN("p") "<=" ROW_BEGAN("m") "  ORDER BY " ROW_BEGAN(                    \
        "p") " DESC, p.key DESC LIMIT 1) END"

/* All but the parent's key and the body, which come last, in this order. */
#define ROW_COLUMNS                                                                         \
    "m.key,m.time_ns,m.received_ns,m.type,m.sources,m.join_hash,m.join_weak,m.parent_join," \
    "m.person_rank,m.input_tokens,m.output_tokens,m.cache_read_tokens,"                     \
    "m.cache_create_tokens,m.cost,m.cost_computed,m.duration_ms,m.success,m.trace_id,"      \
    "m.span_id,m.parent_span_id,m.event_fields,m.event_metadata_keys,m.body_truncated,"     \
    "(SELECT name FROM system WHERE id=m.system)," ROW_TEXT("service") ROW_TEXT("model")    \
        ROW_TEXT("person") ROW_TEXT("account_uuid") ROW_TEXT("account_id") ROW_TEXT("name") \
            ROW_TEXT("session") ROW_TEXT("prompt")                                          \
                ROW_TEXT("tool") "m.request_id,m.tool_use_id,m.metadata,"

#endif
