/*
 * Changing a request without decoding it: resource attributes are spliced in
 * and attributes dropped while everything else is copied byte for byte.
 */
#ifndef CORE_OTLP_REWRITE_H
#define CORE_OTLP_REWRITE_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"

struct otlp_stamp {
    const char *key;
    const char *value; /* a string value, UTF-8 */
};

struct otlp_rewrite {
    /* Set on every resource: what the payload says under these keys is removed wherever
     * attributes stand, so that nobody can claim another's identity. */
    const struct otlp_stamp *stamps;
    size_t stamp_count;

    /* Removed wherever attributes stand, unless they say just this, letters' case aside. */
    const struct otlp_stamp *only;
    size_t only_count;

    /* Removed wherever attributes stand: resource, scope, record, span event, link, metric,
     * data point, exemplar; not inside an attribute's own map. Exact keys. */
    const char *const *drop_keys;
    size_t drop_count;
};

/* Appends the changed request to `out`. With nothing to do it copies. FAIL_INVALID when what it
 * reads is malformed (it does not read values: otlp_check() does), FAIL_TOO_LARGE past out's
 * ceiling; both leave `out` as it was. */
MUST_USE bool otlp_rewrite_request(enum otlp_signal signal, struct bytes request,
                                   const struct otlp_rewrite *rewrite, struct buffer *out,
                                   struct error *err);

/*
 * Splits a request in two of about equal record counts, for bisecting what a
 * destination refuses: appends the first half to `first`, the rest to `second`.
 * False (FAIL_INVALID) when there is only one record, or the request is malformed; then both
 * are left as they were.
 */
MUST_USE bool otlp_split_request(enum otlp_signal signal, struct bytes request,
                                 struct buffer *first, struct buffer *second, struct error *err);

#endif
