/*
 * Whether a value says to Claude Code what its author meant. Pure text in,
 * verdict out; what each version does with a bad value was measured with the
 * real Claude Code. No verdict repeats a header's value.
 */
#ifndef DOCTOR_FORMAT_H
#define DOCTOR_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

enum { FORMAT_SEEN_BYTES = 384, FORMAT_FIX_BYTES = 320 };

struct format_verdict {
    bool is_bad;
    bool is_harmless;             /* bad, but nothing is lost by it */
    char seen[FORMAT_SEEN_BYTES]; /* what is wrong and what it does */
    char fix[FORMAT_FIX_BYTES];   /* how the value should be */
};

/* OTEL_EXPORTER_OTLP_HEADERS: key1=value1,key2=value2, values sent as they are. */
struct format_verdict format_headers(const char *value);

/* OTEL_RESOURCE_ATTRIBUTES; `drops_all`: a bad pair costs every pair (2.1.250 and older). */
struct format_verdict format_attributes(const char *value, bool drops_all);

/* Endpoint variables. `signal` is "logs", ... for a per-signal one (used as it is), NULL for the
 * general one (Claude Code appends /v1/<signal>). `protocol` may be NULL. */
struct format_verdict format_endpoint(const char *value, const char *signal, const char *protocol);

struct format_verdict format_protocol(const char *value);
struct format_verdict format_exporter(const char *value, bool is_metrics);

/* A number of milliseconds or a count; `least`: below it data is lost. */
struct format_verdict format_number(const char *value, long least, const char *effect);

/* 1, true, yes, on. */
bool format_is_on(const char *value);

/* The variable that was probably meant: a name that is none of Claude Code's, one or two letters
 * away from one. NULL when the name is right or resembles none. */
const char *format_variable_meant(const char *name);

/* Every variable that bends telemetry. */
bool format_is_telemetry_variable(const char *name);

/* May hold a credential: never shown. */
bool format_is_secret_variable(const char *name);

/* How much of a URL is "https://host:port", and whether that is this machine itself. */
size_t format_origin_len(const char *url);
bool format_is_local(const char *url);

#endif
