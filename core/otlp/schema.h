/*
 * The messages of OTLP as a table (opentelemetry-proto: common, resource, logs,
 * metrics, trace and collector v1). What reads or writes whole requests without
 * caring for single fields (check.c, json.c, rewrite.c) is driven by it.
 */
#ifndef CORE_OTLP_SCHEMA_H
#define CORE_OTLP_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "core/otlp/signal.h"

enum schema_kind {
    SCHEMA_UNKNOWN, /* no such field: skipped */
    SCHEMA_STRING,
    SCHEMA_BYTES,    /* base64 in JSON */
    SCHEMA_ID,       /* bytes, hex in JSON */
    SCHEMA_BOOL,     /* from here on VARINT */
    SCHEMA_INT,      /* int32 and int64 */
    SCHEMA_UINT,     /* uint32 and uint64 */
    SCHEMA_SINT,     /* zigzag */
    SCHEMA_ENUM,     /* JSON: a number, never a name */
    SCHEMA_FIXED32,  /* I32 */
    SCHEMA_FIXED64,  /* from here on I64 */
    SCHEMA_SFIXED64, /* signed, two's complement */
    SCHEMA_DOUBLE,
    SCHEMA_MESSAGE,
};

/* KeyValue, AnyValue and what nests in them, then everything that may hold them. */
enum schema_id {
    SCHEMA_KEY_VALUE,
    SCHEMA_ANY_VALUE,
    SCHEMA_ARRAY_VALUE,
    SCHEMA_KEY_VALUE_LIST,
    SCHEMA_RESOURCE,
    SCHEMA_ENTITY_REF,
    SCHEMA_SCOPE,
    SCHEMA_LOGS_REQUEST,
    SCHEMA_RESOURCE_LOGS,
    SCHEMA_SCOPE_LOGS,
    SCHEMA_LOG_RECORD,
    SCHEMA_TRACE_REQUEST,
    SCHEMA_RESOURCE_SPANS,
    SCHEMA_SCOPE_SPANS,
    SCHEMA_SPAN,
    SCHEMA_SPAN_EVENT,
    SCHEMA_SPAN_LINK,
    SCHEMA_SPAN_STATUS,
    SCHEMA_METRICS_REQUEST,
    SCHEMA_RESOURCE_METRICS,
    SCHEMA_SCOPE_METRICS,
    SCHEMA_METRIC,
    SCHEMA_GAUGE,
    SCHEMA_SUM,
    SCHEMA_HISTOGRAM,
    SCHEMA_EXPONENTIAL_HISTOGRAM,
    SCHEMA_SUMMARY,
    SCHEMA_NUMBER_POINT,
    SCHEMA_HISTOGRAM_POINT,
    SCHEMA_EXPONENTIAL_POINT,
    SCHEMA_BUCKETS,
    SCHEMA_SUMMARY_POINT,
    SCHEMA_QUANTILE,
    SCHEMA_EXEMPLAR,
    SCHEMA_COUNT,
};

enum { SCHEMA_FIELD_NUMBERS = 17 };

struct schema_field {
    const char *name; /* in JSON */
    uint8_t kind;     /* enum schema_kind */
    uint8_t message;  /* enum schema_id, when kind is SCHEMA_MESSAGE */
    bool repeated;    /* numbers: packed or not */
};

struct schema_message {
    const char *name;
    bool is_record;                                   /* a log record, span or data point */
    bool holds_records;                               /* at some level below */
    bool has_attributes;                              /* KeyValue below, except inside values */
    struct schema_field fields[SCHEMA_FIELD_NUMBERS]; /* by number */
};

extern const struct schema_message schema_messages[SCHEMA_COUNT];

enum schema_id schema_request(enum otlp_signal signal);

#endif
