/*
 * OTLP requests, walked in place (opentelemetry-proto, collector/{logs,metrics,trace}/v1).
 *
 *   request bytes ─▶ otlp_walk_logs / _spans / _points ─▶ one callback per record
 *
 * Everything handed out is borrowed from the request. Strings may hold NUL and
 * invalid UTF-8: who stores or shows them cleans them (otlp_text_clean).
 * Depth of nested values is bounded (OTLP_MAX_DEPTH); deeper is malformed.
 * Pure functions: any thread.
 */
#ifndef CORE_OTLP_OTLP_H
#define CORE_OTLP_OTLP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"

enum { OTLP_MAX_DEPTH = 16 };

enum otlp_value_kind {
    OTLP_VALUE_NONE, /* no member set: null */
    OTLP_VALUE_STRING,
    OTLP_VALUE_BOOL,
    OTLP_VALUE_INT,
    OTLP_VALUE_DOUBLE,
    OTLP_VALUE_ARRAY,  /* raw ArrayValue message in `bytes` */
    OTLP_VALUE_KVLIST, /* raw KeyValueList message in `bytes` */
    OTLP_VALUE_BYTES,
};

struct otlp_value {
    enum otlp_value_kind kind;
    struct bytes bytes; /* STRING, BYTES, and the raw message of ARRAY and KVLIST */
    int64_t integer;    /* INT; BOOL as 0 or 1 */
    double number;      /* DOUBLE */
};

/*
 * A message's repeated KeyValue field, not yet read: the message and the
 * number of the field in it. Iterate with otlp_attributes_next().
 */
struct otlp_attributes {
    struct bytes message;
    uint32_t field;
};

struct otlp_attribute_reader {
    struct bytes rest;
    uint32_t field;
};

struct otlp_attribute {
    struct bytes key;
    struct otlp_value value;
};

struct otlp_attribute_reader otlp_attributes_start(struct otlp_attributes attributes);
bool otlp_attributes_next(struct otlp_attribute_reader *reader, struct otlp_attribute *out);

/* The last attribute with this key; false when there is none. */
bool otlp_attributes_find(struct otlp_attributes attributes, const char *key,
                          struct otlp_value *out);

/* Numbers arrive as int, double or string ("120", "0.5"): all three count. As an integer a fraction
 * is rounded. False, and `out` untouched, when it is no finite number in range. */
bool otlp_value_as_int(const struct otlp_value *value, int64_t *out);
bool otlp_value_as_double(const struct otlp_value *value, double *out);
/* true/false, "true"/"false", 1/0. */
bool otlp_value_as_bool(const struct otlp_value *value, bool *out);

/*
 * Appends the value as text: strings as they are (cleaned), numbers in decimal
 * (doubles in the shortest form that reads back equal), arrays and maps as JSON,
 * bytes as base64. False past the ceiling.
 */
MUST_USE bool otlp_value_as_text(const struct otlp_value *value, struct buffer *out);
/* As above, as one JSON value: strings quoted. */
MUST_USE bool otlp_value_as_json(const struct otlp_value *value, struct buffer *out);

/* Appends `text` as valid UTF-8 without NUL: bad bytes and NUL become U+FFFD. */
MUST_USE bool otlp_text_clean(struct bytes text, struct buffer *out);

struct otlp_scope {
    struct bytes name;
    struct bytes version;
    struct otlp_attributes attributes;
};

struct otlp_log {
    struct otlp_attributes resource;
    struct otlp_scope scope;
    uint64_t time_ns; /* time_unix_nano, else observed_time_unix_nano; 0 when neither */
    uint64_t observed_ns;
    int32_t severity_number;
    struct bytes severity_text;
    struct otlp_value body;
    struct otlp_attributes attributes;
    struct bytes trace_id; /* 16 bytes or empty; all-zero is given as empty */
    struct bytes span_id;  /* 8 bytes or empty */
    struct bytes event_name;
    struct bytes raw; /* the LogRecord message itself */
};

struct otlp_span {
    struct otlp_attributes resource;
    struct otlp_scope scope;
    struct bytes trace_id, span_id, parent_span_id;
    struct bytes name;
    int32_t kind;
    uint64_t start_ns, end_ns;
    struct otlp_attributes attributes;
    int32_t status_code; /* 0 unset, 1 ok, 2 error */
    struct bytes status_message;
    uint32_t event_count;
    struct bytes raw; /* the Span message: otlp_span_event_next() reads its events */
};

struct otlp_span_event {
    uint64_t time_ns;
    struct bytes name;
    struct otlp_attributes attributes;
};
/* Walks the events of a span. `rest` starts as span->raw and is advanced. */
bool otlp_span_event_next(struct bytes *rest, struct otlp_span_event *out);

enum otlp_metric_kind {
    OTLP_METRIC_GAUGE,
    OTLP_METRIC_SUM,
    OTLP_METRIC_HISTOGRAM,
    OTLP_METRIC_EXPONENTIAL_HISTOGRAM,
    OTLP_METRIC_SUMMARY,
};
enum otlp_temporality { OTLP_TEMPORALITY_UNSPECIFIED, OTLP_DELTA, OTLP_CUMULATIVE };

struct otlp_point {
    struct otlp_attributes resource;
    struct otlp_scope scope;
    struct bytes metric_name, unit;
    enum otlp_metric_kind kind;
    enum otlp_temporality temporality;
    bool monotonic;
    struct otlp_attributes attributes;
    uint64_t start_ns, time_ns;
    double value;           /* number points as double; histograms and summaries: the sum */
    uint64_t count;         /* histograms and summaries */
    bool no_recorded_value; /* flags bit 0: the point marks a gap */
    struct bytes raw;       /* the data point message */
};

/* Return false to stop; the walk then succeeds. */
typedef bool otlp_log_visit(void *context, const struct otlp_log *log);
typedef bool otlp_span_visit(void *context, const struct otlp_span *span);
typedef bool otlp_point_visit(void *context, const struct otlp_point *point);

/*
 * Visits every record of an Export…ServiceRequest. FAIL_INVALID when what it
 * reads is malformed, but attributes are left to their readers: callers that
 * keep rows check first with otlp_check(), so that a bad request leaves no
 * part behind.
 */
MUST_USE bool otlp_walk_logs(struct bytes request, otlp_log_visit *visit, void *context,
                             struct error *err);
MUST_USE bool otlp_walk_spans(struct bytes request, otlp_span_visit *visit, void *context,
                              struct error *err);
MUST_USE bool otlp_walk_points(struct bytes request, otlp_point_visit *visit, void *context,
                               struct error *err);

/*
 * Reads the whole request, every level, and counts its records (log records,
 * spans, data points). FAIL_INVALID with the place of the first fault.
 */
MUST_USE bool otlp_check(enum otlp_signal signal, struct bytes request, uint64_t *records,
                         struct error *err);

#endif
