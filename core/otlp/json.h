/*
 * OTLP/JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding)
 * turned into the protobuf form of the same request, so that everything behind
 * it knows one form. Strict JSON through core/json; 64-bit integers exact from
 * numbers or strings; ids in hex; enums as integers; unknown fields ignored.
 */
#ifndef CORE_OTLP_JSON_H
#define CORE_OTLP_JSON_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"

/* Appends the protobuf form to `out`. FAIL_INVALID names line and column; FAIL_TOO_LARGE past out's
 * ceiling. */
MUST_USE bool otlp_json_to_protobuf(enum otlp_signal signal, struct bytes json, struct buffer *out,
                                    struct error *err);

#endif
