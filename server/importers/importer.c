#include "server/importers/importer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "platform/platform.h"
#include "server/importers/chunks.h"
#include "server/importers/page.h"
#include "server/store/control.h"

enum {
    DEFAULT_TRIES = 8,
    DEFAULT_RETRY_MS = 1000,
    DEFAULT_TIMEOUT_MS = 60000,
    LONGEST_PAUSE_MS = 120000,
    LOCK_S = 12, /* renewed while a request or a pause lasts: a killed importer blocks no longer */
    RENEW_S = 3,
    BUSY_PAUSE_MS = 250,
    MAX_RESTARTS = 3, /* of one chain, by 410 */
    MAX_ANSWER_MIB = 16,
    MAX_CURSOR_BYTES = 1024,
    PAGE_LIMIT = 1000, /* every report's largest */
};

static const char LEASE[] = "import";

struct import {
    struct control_store *store;
    const struct control_api_usage_kind *usage;
    const struct importer_options *options;
    struct importer_result *result;
    char owner[PLATFORM_UUID_BYTES];
    uint64_t last_request_ns, locked_ns; /* monotonic */
    struct importer_progress progress;
    struct api_import_state state;
    struct buffer body, headers;
};

/* What one request led to. */
enum step {
    STEP_PAGE,    /* a page is staged */
    STEP_NOT_YET, /* the report has no data for that day so far: not a fault */
    STEP_RESTART, /* the cursor has expired */
    STEP_RETRY,   /* a passing fault */
    STEP_FAILED,  /* err is set */
    STEP_STOPPED,
};

struct rows {
    struct api_usage *items;
    size_t count, capacity;
};

static bool keep_row(void *context, const struct api_usage *row)
{
    struct rows *rows = context;
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? rows->capacity * 2 : 256;
        rows->items = xrealloc(rows->items, rows->capacity * sizeof *rows->items);
    }
    rows->items[rows->count++] = *row;
    return true;
}

static void tell(struct import *im, const char *note)
{
    im->progress.note = note;
    if (im->options->progress)
        im->options->progress(im->options->context, &im->progress);
}

static bool extend_lock(struct import *im, struct error *err)
{
    uint64_t now = clock_wall_ns(im->options->clock);
    im->locked_ns = clock_monotonic_ns(im->options->clock);
    if (im->store->kind->lease_take(im->store, LEASE, im->owner, now, now + LOCK_S * NS_PER_S, err))
        return true;
    if (err->kind != FAIL_BUSY)
        return false;
    error_set(err, FAIL_BUSY, "another process is importing");
    return error_remedy(err, "wait for it, or look at claude-telemetry-server import status");
}

/* A failure shows when the page is staged: extend_lock() is asked again before. */
static void renew_lock(struct import *im)
{
    struct error ignored;
    if (clock_monotonic_ns(im->options->clock) - im->locked_ns >= RENEW_S * NS_PER_S)
        (void)!extend_lock(im, &ignored);
}

static bool wait_ms(struct import *im, uint64_t ms)
{
    const uint64_t slice = RENEW_S * 1000;
    for (; ms > slice; ms -= slice) {
        if (!im->options->pause(im->options->context, slice))
            return false;
        renew_lock(im);
    }
    return im->options->pause(im->options->context, ms);
}

/* While a request is under way. */
static bool is_stopping(void *context)
{
    struct import *im = context;
    renew_lock(im);
    return im->options->stopping && im->options->stopping(im->options->context);
}

/* Cursors are opaque: every byte that is not unreserved is escaped (RFC 3986). */
static void put_escaped(struct buffer *url, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     strchr("-._~", c);
        (void)!(plain ? buffer_append_byte(url, c) : buffer_append_format(url, "%%%02X", c));
    }
}

static void put_url(const struct import *im, const struct api_chunk *chunk, const char *cursor,
                    struct buffer *url)
{
    static const char *const group = "&group_by[]=model&group_by[]=product";
    const char *base = im->options->base_url;
    bool ok = true;
    switch (chunk->report) {
    case API_ADMIN_CLAUDE_CODE:
        ok =
            buffer_append_format(url, "%s/v1/organizations/usage_report/claude_code?starting_at=%s",
                                 base, chunk->from);
        break;
    case API_ENTERPRISE_USERS:
        ok = buffer_append_format(url, "%s/v1/organizations/analytics/users?date=%s", base,
                                  chunk->from);
        break;
    case API_ENTERPRISE_USAGE:
    case API_ENTERPRISE_COST:
        ok = buffer_append_format(
            url,
            "%s/v1/organizations/analytics/user_%s_report?starting_at=%sT00:00:00Z"
            "&ending_at=%sT00:00:00Z&bucket_width=1d&products[]=claude_code%s",
            base, chunk->report == API_ENTERPRISE_USAGE ? "usage" : "cost", chunk->from, chunk->to,
            group);
        break;
    default:
        ok = buffer_append_format(
            url,
            "%s/v1/organizations/analytics/%s?starting_at=%sT00:00:00Z&ending_at=%sT00:00:00Z"
            "&time_bucket_width=1d&group_by[]=actor%s",
            base, chunk->report == API_ANALYTICS_USAGE ? "usage" : "cost", chunk->from, chunk->to,
            group);
    }
    ok = ok && buffer_append_format(url, "&limit=%d", PAGE_LIMIT);
    if (ok && cursor[0]) {
        (void)!buffer_append_text(url, "&page=");
        put_escaped(url, cursor);
    }
}

static void request(struct import *im, const struct api_chunk *chunk, const char *cursor,
                    struct http_result *result)
{
    struct buffer url = {.max_bytes = 8192};
    put_url(im, chunk, cursor, &url);
    char *key = xasprintf("x-api-key: %s", im->options->key->text);
    char *agent = xasprintf("User-Agent: %s", im->options->user_agent);
    bool beta = chunk->report == API_ANALYTICS_USAGE || chunk->report == API_ANALYTICS_COST;
    const char *headers[] = {key, agent, "anthropic-version: 2023-06-01",
                             beta ? "anthropic-beta: analytics-usage-cost-2026-08-24" : NULL, NULL};
    struct http_call call = {.method = "GET",
                             .url = buffer_text(&url),
                             .headers = headers,
                             .ca_file = im->options->ca_file,
                             .timeout_ms = im->options->timeout_ms ? im->options->timeout_ms
                                                                   : DEFAULT_TIMEOUT_MS,
                             .max_answer_bytes = MAX_ANSWER_MIB * MIB,
                             .cancelled = is_stopping,
                             .cancel_context = im};
    buffer_reset(&im->body);
    buffer_reset(&im->headers);
    http_client_perform(&call, result, &im->body, &im->headers);
    im->last_request_ns = clock_monotonic_ns(im->options->clock);
    memset(key, 0, strlen(key));
    free(key);
    free(agent);
    buffer_clear(&url);
}

/* Not more often than the organisation's limit allows. */
static bool pace(struct import *im)
{
    uint64_t interval_ns = im->options->request_interval_ms * NS_PER_MS;
    uint64_t since = clock_monotonic_ns(im->options->clock) - im->last_request_ns;
    if (im->last_request_ns == 0 || since >= interval_ns)
        return wait_ms(im, 0);
    return wait_ms(im, (interval_ns - since) / NS_PER_MS + 1);
}

static enum step take_page(struct import *im, const struct api_chunk *chunk,
                           const struct http_result *result, struct buffer *cursor,
                           struct error *err)
{
    struct rows rows = {0};
    struct api_page page;
    enum step step = STEP_PAGE;
    if (!api_page_read(chunk->report, chunk->from, result->body, keep_row, &rows, &page, err)) {
        /* Cut off, or a proxy's page: the next try may be whole. Another schema stays. */
        step = err->kind == FAIL_NOT_FOUND ? STEP_FAILED : STEP_RETRY;
    } else if (strcmp(page.next_page, (const char *)buffer_text(cursor)) == 0 &&
               page.next_page[0]) {
        error_set(err, FAIL_INVALID, "the API gave the same cursor again");
        error_remedy(err, "run it again later; if it stays so, update claude-telemetry-server");
        step = STEP_FAILED;
    } else if (!im->usage->chunk_stage(im->store, chunk, rows.items, rows.count, page.next_page,
                                       err)) {
        step = STEP_FAILED;
    } else {
        buffer_reset(cursor);
        (void)!buffer_append_text(cursor, page.next_page);
        im->progress.pages++;
        im->progress.rows += page.rows;
        im->result->pages++;
        im->result->rows += page.rows;
        im->result->skipped += page.skipped;
        if (page.drift[0])
            snprintf(im->state.drift, sizeof im->state.drift, "%s", page.drift);
        tell(im, "");
    }
    free(rows.items);
    return step;
}

/* The reports say in words which day is the newest: "… the newest available day is 2026-11-18". */
static bool says_not_yet(const struct api_chunk *chunk, const char *message)
{
    if (chunk->report != API_ENTERPRISE_USERS)
        return false;
    for (const char *at = message; *at; at++) {
        char day[API_DAY_BYTES];
        snprintf(day, sizeof day, "%.10s", at);
        if (importer_is_day(day) && strcmp(day, chunk->from) < 0)
            return true;
    }
    return strstr(message, "not available yet") != NULL;
}

static enum step classify(struct import *im, const struct api_chunk *chunk, bool had_cursor,
                          const struct http_result *result, struct error *err)
{
    char message[240];
    api_error_message(result->body, message, sizeof message);
    const char *words = message[0] ? message : "no explanation";
    switch (result->status) {
    case 401:
    case 402:
    case 403:
        im->result->rejected = im->state.rejected = true;
        error_set(err, FAIL_DENIED, "the API refuses the key (%d): %s", result->status, words);
        error_remedy(err, "put a working key into the key file; the next run catches up by itself");
        return STEP_FAILED;
    case 410:
        error_set(err, FAIL_IO, "the page cursor has expired (410): %s", words);
        return STEP_RESTART;
    case 400:
        if (says_not_yet(chunk, message))
            return STEP_NOT_YET;
        error_set(err, FAIL_INVALID, "the API refuses the question (400): %s", words);
        error_remedy(err, "give --from a day that the API still has, or update "
                          "claude-telemetry-server if its words name a parameter");
        return had_cursor ? STEP_RESTART : STEP_FAILED; /* a cursor that fits another question */
    case 404:
        error_set(err, FAIL_NOT_FOUND, "the API does not know the report (404): %s", words);
        error_remedy(err, "check the base URL, and that the organisation's plan has this API");
        return STEP_FAILED;
    default:
        error_set(err, FAIL_IO, "the API answered %d: %s", result->status, words);
        return result->status == 408 || result->status == 429 || result->status >= 500
                   ? STEP_RETRY
                   : STEP_FAILED;
    }
}

/* One page, with its retries. */
static enum step fetch_page(struct import *im, const struct api_chunk *chunk, struct buffer *cursor,
                            struct error *err)
{
    uint32_t tries = im->options->tries ? im->options->tries : DEFAULT_TRIES;
    uint64_t pause_ms =
        im->options->retry_first_ms ? im->options->retry_first_ms : DEFAULT_RETRY_MS;
    bool had_cursor = cursor->len > 0;
    for (uint32_t attempt = 1;; attempt++) {
        struct http_result result;
        uint64_t asked_ms = 0;
        if (!pace(im))
            return STEP_STOPPED;
        if (!extend_lock(im, err))
            return STEP_FAILED;
        request(im, chunk, buffer_text(cursor), &result);
        if (is_stopping(im))
            return STEP_STOPPED;
        if (!extend_lock(im, err)) /* another took over while this process slept */
            return STEP_FAILED;
        enum step step = STEP_RETRY;
        if (result.stage != HTTP_STAGE_DONE)
            error_set(err, FAIL_IO, "%s", result.error);
        else if (result.status == 200)
            step = take_page(im, chunk, &result, cursor, err);
        else
            step = classify(im, chunk, had_cursor, &result, err);
        if (step != STEP_RETRY)
            return step;
        if (attempt >= tries) {
            error_remedy(err, "run it again later: it goes on at this page, and `serve` does so by "
                              "itself; if it stays so, check integrations.base_url, ca_file and "
                              "the proxy");
            return STEP_FAILED;
        }

        bool told =
            result.stage == HTTP_STAGE_DONE &&
            http_result_retry_after_ms(&result, clock_wall_ns(im->options->clock), &asked_ms);
        uint64_t wait = told && asked_ms > pause_ms ? asked_ms : pause_ms;
        wait = wait < LONGEST_PAUSE_MS ? wait : LONGEST_PAUSE_MS;
        char note[320];
        snprintf(note, sizeof note, "waiting %" PRIu64 " ms: %.250s", wait, err->cause);
        tell(im, note);
        if (!wait_ms(im, wait))
            return STEP_STOPPED;
        pause_ms *= 2;
    }
}

/* All pages of a chunk, from where an earlier run stopped. */
static enum step fetch_chunk(struct import *im, const struct api_chunk *chunk, struct error *err)
{
    struct buffer cursor = {.max_bytes = MAX_CURSOR_BYTES};
    bool staged = false;
    enum step step = STEP_FAILED;
    if (!im->usage->chunk_cursor(im->store, chunk, &staged, &cursor, err))
        goto done;
    bool complete = staged && cursor.len == 0; /* killed between the last page and the finish */
    for (int restarts = 0; !complete;) {
        step = fetch_page(im, chunk, &cursor, err);
        if (step == STEP_RESTART && restarts++ < MAX_RESTARTS) {
            buffer_reset(&cursor);
            if (!im->usage->chunk_drop(im->store, chunk, err)) {
                step = STEP_FAILED;
                goto done;
            }
            continue;
        }
        if (step != STEP_PAGE)
            goto done;
        complete = cursor.len == 0;
    }
    step = im->usage->chunk_finish(im->store, chunk, clock_wall_ns(im->options->clock), err)
               ? STEP_PAGE
               : STEP_FAILED;
    im->result->chunks += step == STEP_PAGE;

done:
    buffer_clear(&cursor);
    return step;
}

/* ---- Where an interrupted run of several chunks was ---- */

enum { MARK_BYTES = 128, MARK_LIFE_S = 86400 };

static void mark_name(enum api_report report, char out[64])
{
    snprintf(out, 64, "import_run_%s", api_report_name(report));
}

/* Remembers that the days before `next` of this range are done; NULL: the range is. */
static bool mark_put(struct import *im, enum api_report report, const char *from, const char *to,
                     const char *next, uint64_t begun_s, struct error *err)
{
    char name[64], mark[MARK_BYTES] = "done";
    mark_name(report, name);
    if (next)
        snprintf(mark, sizeof mark, "%s %s %s %" PRIu64, from, to, next, begun_s);
    return im->store->kind->value_put(im->store, name, bytes_of(mark), err);
}

/*
 * The day an interrupted run of this very range goes on at, or `from`. A run of long ago counts for
 * nothing: what it fetched may have been revised.
 */
static void mark_get(struct import *im, enum api_report report, const char *from, const char *to,
                     char next[API_DAY_BYTES], uint64_t *begun_s)
{
    char name[64], mark_from[API_DAY_BYTES], mark_to[API_DAY_BYTES], mark_next[API_DAY_BYTES];
    struct buffer mark = {.max_bytes = MARK_BYTES};
    struct error ignored;
    uint64_t begun = 0, now_s = clock_wall_ns(im->options->clock) / NS_PER_S;
    mark_name(report, name);
    snprintf(next, API_DAY_BYTES, "%s", from);
    *begun_s = now_s;
    if (im->store->kind->value_get(im->store, name, &mark, &ignored) &&
        sscanf(buffer_text(&mark), "%10s %10s %10s %" SCNu64, mark_from, mark_to, mark_next,
               &begun) == 4 &&
        strcmp(mark_from, from) == 0 && strcmp(mark_to, to) == 0 && importer_is_day(mark_next) &&
        begun <= now_s && now_s - begun < MARK_LIFE_S) {
        memcpy(next, mark_next, API_DAY_BYTES);
        *begun_s = begun;
    }
    buffer_clear(&mark);
}

/* One report over all its chunks. True also when it was stopped or has no newer data. */
static bool import_report(struct import *im, enum api_report report, const char *from,
                          const char *to, struct error *err)
{
    if (!im->usage->state_get(im->store, report, &im->state, err))
        return false;
    im->state.attempt_ns = clock_wall_ns(im->options->clock);
    im->state.rejected = false;
    im->state.drift[0] = '\0';
    im->progress =
        (struct importer_progress){.report = report, .chunks_total = chunk_count(report, from, to)};
    struct api_chunk chunk = {.report = report};
    char next[API_DAY_BYTES];
    uint64_t begun_s;
    mark_get(im, report, from, to, next, &begun_s);
    im->progress.chunks_done = im->progress.chunks_total - chunk_count(report, next, to);
    if (im->progress.chunks_done > 0)
        tell(im, "going on where the last run stopped");
    enum step step = STEP_PAGE;
    while (step == STEP_PAGE && chunk_next(report, next, to, &chunk)) {
        im->progress.from = chunk.from;
        im->progress.to = chunk.to;
        step = fetch_chunk(im, &chunk, err);
        im->progress.chunks_done += step == STEP_PAGE;
        memcpy(next, chunk.to, sizeof next);
        bool last = strcmp(next, to) > 0;
        if (step == STEP_PAGE && !mark_put(im, report, from, to, last ? NULL : next, begun_s, err))
            step = STEP_FAILED;
    }
    bool stopped = step == STEP_STOPPED;
    bool ok = step == STEP_PAGE || step == STEP_NOT_YET || stopped;
    im->result->stopped |= stopped;
    if (stopped) {
        tell(im, "stopped; the next run goes on here");
        return true; /* neither a failure nor a success: the state stays */
    }
    snprintf(im->state.error, sizeof im->state.error, "%.310s", ok ? "" : err->cause);
    if (ok)
        im->state.success_ns = clock_wall_ns(im->options->clock);
    else
        error_wrap(err, "%s from %s", api_report_name(report), chunk.from);
    tell(im, ok ? "done" : err->cause);
    struct error ignored;
    return im->usage->state_put(im->store, report, &im->state, ok ? err : &ignored) && ok;
}

/* Waits a while for another importer: one that was killed lets go by itself. */
static bool take_lock(struct import *im, struct error *err)
{
    uint64_t waited = 0;
    while (!extend_lock(im, err)) {
        if (err->kind != FAIL_BUSY || waited >= im->options->lock_wait_ms)
            return false;
        if (waited == 0)
            tell(im, "waiting for another importer");
        waited += BUSY_PAUSE_MS;
        if (!im->options->pause(im->options->context, BUSY_PAUSE_MS))
            return false;
    }
    return true;
}

bool importer_run(struct control_store *store, const struct importer_options *options,
                  const char *from, const char *to, struct importer_result *result,
                  struct error *err)
{
    struct import im = {.store = store,
                        .usage = store->kind->api_usage,
                        .options = options,
                        .result = result,
                        .body = {.max_bytes = MAX_ANSWER_MIB * MIB},
                        .headers = {.max_bytes = 64 * KIB}};
    memset(result, 0, sizeof *result);
    if (!importer_is_day(from) || !importer_is_day(to) || strcmp(from, to) > 0) {
        error_set(err, FAIL_INVALID, "'%.20s' to '%.20s' is no range of days", from, to);
        return error_remedy(err, "give days as 2026-11-01, the earlier one first");
    }
    platform_uuid(im.owner);
    if (!take_lock(&im, err))
        return false;

    bool ok = true;
    for (int report = 0; report < API_REPORT_COUNT && !result->stopped; report++) {
        struct error failure = {.kind = FAIL_NONE};
        if (!(options->reports & 1u << report))
            continue;
        if (!import_report(&im, (enum api_report)report, from, to, &failure) && ok) {
            *err = failure;
            ok = false;
        }
    }
    struct error ignored;
    (void)!store->kind->lease_end(store, LEASE, im.owner, &ignored);
    buffer_clear(&im.body);
    buffer_clear(&im.headers);
    return ok;
}
