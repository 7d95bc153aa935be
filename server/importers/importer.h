/*
 * Fetches Anthropic's usage reports into the control store.
 *
 *   days ─▶ chunks ─▶ request ─▶ page ─▶ staged ─▶ … ─▶ chunk finished (days replaced)
 *
 * Blocks; run it on a thread of its own or from the command line. It can be killed at any point: the next
 * run goes on at the page after the last one staged. Running it again for the same days changes nothing but
 * what the API has revised.
 */
#ifndef SERVER_IMPORTERS_IMPORTER_H
#define SERVER_IMPORTERS_IMPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "server/store/api_usage.h"

#define IMPORTER_BASE_URL "https://api.anthropic.com"

enum { IMPORTER_KEY_BYTES = 512 };

/* What a key opens, by its prefix. */
enum importer_key_kind {
    IMPORTER_ADMIN_KEY,      /* sk-ant-admin01-…: the Admin API and the analytics beta */
    IMPORTER_ENTERPRISE_KEY, /* sk-ant-api01-…: the Enterprise Analytics API and the analytics beta */
};

struct importer_key {
    char text[IMPORTER_KEY_BYTES];
    enum importer_key_kind kind;
};

/*
 * Reads a key file: readable by its owner only, one line. FAIL_DENIED when others can read it,
 * FAIL_INVALID when the prefix is that of another kind of key.
 */
MUST_USE bool importer_read_key(const char *path, struct importer_key *out, struct error *err);

/* The reports a key opens, as a bit per enum api_report. `beta` prefers the analytics beta for tokens and cost. */
unsigned importer_reports(enum importer_key_kind kind, bool beta);

struct importer_progress {
    enum api_report report;
    const char *from, *to; /* of the chunk at hand, to exclusive */
    uint32_t chunks_done, chunks_total;
    uint32_t pages, rows; /* of this report so far */
    const char *note;     /* "waiting 30 s: rate limited" ..., or "" */
};

struct importer_options {
    const char *base_url; /* IMPORTER_BASE_URL unless a test or a proxy needs another */
    const char *
        user_agent; /* "claude-telemetry/0.1.0 (https://…)": Anthropic asks for name, version, URL */
    const char *ca_file; /* or NULL */
    const struct importer_key *key;
    unsigned reports;          /* a bit per enum api_report */
    const struct clock *clock; /* borrowed */
    uint32_t
        request_interval_ms; /* at least this between requests; the Enterprise API allows 60 a minute */
    uint32_t retry_first_ms; /* first pause after a passing fault, doubled; default 1,000 when 0 */
    uint32_t tries;          /* per page; default 8 when 0 */
    uint32_t timeout_ms;     /* per request; default 60,000 when 0 */
    uint32_t
        lock_wait_ms; /* how long to wait for another importer; one killed lets go after 12 s */

    void *context;
    void (*progress)(void *context, const struct importer_progress *progress); /* or NULL */
    /* Waits, 0 not at all; returns false when the program is stopping. Asked before every request. */
    bool (*pause)(void *context, uint64_t ms);
    /* Whether the program is stopping: cuts a request that is under way. NULL: never. */
    bool (*stopping)(void *context);
};

struct importer_result {
    uint32_t chunks, pages, rows, skipped;
    bool rejected; /* the key was refused */
    bool stopped;  /* pause() said so; what is staged stays */
};

/*
 * Imports the UTC days from `from` to `to` (inclusive, "2026-11-20"). A report that fails does not keep the
 * others from running; then false, with the first failure. Its state, the API's own words included, is in the
 * store. FAIL_BUSY while another process imports.
 */
MUST_USE bool importer_run(struct control_store *store, const struct importer_options *options,
                           const char *from, const char *to, struct importer_result *result,
                           struct error *err);

/* "2026-11-20" moved by `days`. `day` must be well formed. */
void importer_move_day(const char *day, int days, char out[API_DAY_BYTES]);
bool importer_is_day(const char *text);

#endif
