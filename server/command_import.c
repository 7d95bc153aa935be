/* import run and import status. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "platform/platform.h"
#include "server/commands.h"
#include "server/importers/integrations_json.h"

enum { LOCK_WAIT_MS = 20000, PAGES_A_LINE = 10 };

/* ---- Progress, and stopping ---- */

struct watch {
    sigset_t signals;
    bool stopped;
    enum api_report report; /* of the line printed last, with its chunk */
    uint32_t chunks_done;
    bool begun;
};

/* The signals are blocked, so that one that comes at any moment waits here to be taken. */
static bool watch_pause(void *context, uint64_t ms)
{
    struct watch *w = context;
    const struct timespec wait = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000) * 1000000};
    if (!w->stopped && sigtimedwait(&w->signals, NULL, &wait) > 0)
        w->stopped = true;
    return !w->stopped;
}

static bool watch_stopping(void *context)
{
    return !watch_pause(context, 0);
}

/* A line when a chunk is done, when there is something to say, and now and then within long chunks. */
static void show_progress(void *context, const struct importer_progress *p)
{
    struct watch *w = context;
    bool moved = !w->begun || w->report != p->report || w->chunks_done != p->chunks_done;
    if (!moved && !p->note[0] && p->pages % PAGES_A_LINE != 0)
        return;
    w->begun = true;
    w->report = p->report;
    w->chunks_done = p->chunks_done;
    fprintf(stderr,
            "%s: %s chunk %" PRIu32 " of %" PRIu32 ", %" PRIu32 " pages, %" PRIu32 " rows%s%s\n",
            api_report_name(p->report), p->from ? p->from : "-",
            p->chunks_done < p->chunks_total ? p->chunks_done + 1 : p->chunks_total,
            p->chunks_total, p->pages, p->rows, p->note[0] ? ": " : "", p->note);
}

/* ---- import run ---- */

static bool choose_report(const struct options *o, const struct integrations *with,
                          unsigned *reports, struct error *err)
{
    *reports = 0;
    if (!o->report)
        return true;
    for (int r = 0; r < API_REPORT_COUNT; r++)
        if (strcmp(o->report, api_report_name((enum api_report)r)) == 0)
            *reports = 1u << r;
    unsigned configured = 0;
    for (int i = 0; i < INTEGRATION_COUNT; i++)
        configured |= integration_reports(with, (enum integration)i);
    if (*reports & configured)
        return true;
    char names[200] = "";
    for (int r = 0; r < API_REPORT_COUNT; r++)
        if (configured & 1u << r)
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                     names[0] ? ", " : "", api_report_name((enum api_report)r));
    error_set(err, FAIL_INVALID,
              *reports ? "no configured integration reads '%.60s'" : "'%.60s' is no report",
              o->report);
    return error_remedy(err, "--report takes one of: %.120s", names);
}

static bool check_arguments(const struct options *o, const struct settings *s, unsigned *reports,
                            struct error *err)
{
    if (!integrations_any(&s->integrations)) {
        error_set(err, FAIL_INVALID, "no integration is configured");
        return error_remedy(err, "set integrations.admin_api.key_file or "
                                 "integrations.enterprise_api.key_file in server.yaml");
    }
    if ((o->from && !importer_is_day(o->from)) || (o->to && !importer_is_day(o->to)) ||
        (o->to && !o->from) || (o->from && o->to && strcmp(o->from, o->to) > 0)) {
        error_set(err, FAIL_INVALID, "'%.20s' to '%.20s' is no range of days",
                  o->from ? o->from : "", o->to ? o->to : "");
        return error_remedy(err, "give --from and --to as 2026-11-01, the earlier one first");
    }
    return choose_report(o, &s->integrations, reports, err);
}

int command_import_run(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct importer_result result = {0};
    struct watch watch = {0};
    unsigned reports = 0;
    if (!check_arguments(o, s, &reports, &err))
        return command_fail(&err);
    struct control_store *store = command_open_control(s, &err);
    if (!store)
        return command_fail(&err);
    char subject[64];
    snprintf(subject, sizeof subject, "%.11s to %.11s", o->from ? o->from : "trailing days",
             o->to ? o->to : "yesterday");
    if (!command_note(store, "import.run", subject, &err)) {
        store->kind->close(store);
        return command_fail(&err);
    }
    sigemptyset(&watch.signals);
    sigaddset(&watch.signals, SIGINT);
    sigaddset(&watch.signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &watch.signals, NULL);
    bool ok = integrations_import(store,
                                  &(struct integration_run){.with = &s->integrations,
                                                            .clock = &platform_clock,
                                                            .reports = reports,
                                                            .from = o->from,
                                                            .to = o->to,
                                                            .lock_wait_ms = LOCK_WAIT_MS,
                                                            .context = &watch,
                                                            .progress = show_progress,
                                                            .pause = watch_pause,
                                                            .stopping = watch_stopping},
                                  &result, &err);
    store->kind->close(store);
    if (ok && (result.stopped || watch.stopped)) {
        ok = false;
        error_set(&err, FAIL_IO, "stopped before the end");
        error_remedy(&err, "run it again: it goes on at the page after the last");
    }
    if (o->json)
        printf("{\"chunks\":%" PRIu32 ",\"pages\":%" PRIu32 ",\"rows\":%" PRIu32
               ",\"skipped\":%" PRIu32 ",\"complete\":%s}\n",
               result.chunks, result.pages, result.rows, result.skipped, ok ? "true" : "false");
    else
        printf("%s %" PRIu32 " rows in %" PRIu32 " pages of %" PRIu32 " chunks\n",
               ok ? "imported" : "imported only", result.rows, result.pages, result.chunks);
    if (ok)
        return EXIT_DONE;
    command_fail(&err);
    return EXIT_FAILED; /* a key file that cannot be used included: the configuration itself is sound */
}

/* ---- import status ---- */

static void print_json(const struct integration_status *all)
{
    struct buffer out = {.max_bytes = MIB};
    struct json_writer w = json_writer_make(&out);
    json_object_open(&w);
    json_put_key(&w, "items");
    json_array_open(&w);
    for (int i = 0; i < INTEGRATION_COUNT; i++)
        integration_put_json(&w, &all[i]);
    json_array_close(&w);
    json_object_close(&w);
    printf("%.*s\n", (int)out.len, (const char *)out.data);
    buffer_clear(&out);
}

static void print_table(const struct integration_status *all)
{
    printf("%-16s %-18s %-6s %-10s %10s  %s\n", "INTEGRATION", "REPORT", "STATE", "NEWEST DAY",
           "ROWS", "REASON");
    for (int i = 0; i < INTEGRATION_COUNT; i++) {
        const struct integration_status *s = &all[i];
        const char *name = integration_name(s->integration);
        if (!s->configured)
            printf("%-16s %-18s %-6s %-10s %10s  %s\n", name, "-",
                   health_state_name(s->health.state), "-", "-", s->health.reason);
        for (size_t r = 0; r < s->report_count; r++) {
            const struct integration_report_status *report = &s->reports[r];
            printf("%-16s %-18s %-6s %-10s %10" PRIu64 "  %s%s%s\n", name,
                   api_report_name(report->report), health_state_name(report->health.state),
                   report->state.newest_day[0] ? report->state.newest_day : "-", report->state.rows,
                   report->health.reason, report->state.drift[0] ? " schema: " : "",
                   report->state.drift);
        }
    }
}

int command_import_status(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct integration_status all[INTEGRATION_COUNT];
    struct control_store *store = command_open_control(s, &err);
    bool ok = store &&
              integrations_read(store, &s->integrations, clock_wall_ns(&platform_clock), all, &err);
    int code = EXIT_DONE;
    if (ok && o->json)
        print_json(all);
    else if (ok)
        print_table(all);
    for (int i = 0; ok && i < INTEGRATION_COUNT; i++)
        if (all[i].health.state == HEALTH_RED)
            code = EXIT_FAILED; /* found problems */
    if (store)
        store->kind->close(store);
    return ok ? code : command_fail(&err);
}
