#include "agent/heartbeat/doctor.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "platform/service.h"

struct doctor_run {
    struct platform_child child;
    struct loop_watch *watch;
    struct loop_timer *timer;
    struct buffer report;
    bool is_running;
    doctor_done *done;
    void *context;
};

static void end(struct doctor_run *run, bool force, const char *problem)
{
    loop_watch_remove(run->watch);
    run->watch = NULL;
    loop_timer_cancel(run->timer);
    int code = platform_child_finish(&run->child, force);
    run->is_running = false;

    char text[120];
    snprintf(text, sizeof text, "the doctor ended with code %d and no report", code);
    bool has_report = !problem && run->report.len > 0;
    run->done(run->context, has_report ? buffer_bytes(&run->report) : bytes_make(NULL, 0),
              has_report ? ""
              : problem  ? problem
                         : text);
}

static void on_output(void *context, int fd, unsigned events)
{
    struct doctor_run *run = context;
    (void)fd;
    (void)events;
    if (!buffer_reserve(&run->report, 4096)) {
        end(run, true, "the doctor's report is too large");
        return;
    }
    ptrdiff_t got = platform_child_read(&run->child, run->report.data + run->report.len, 4096);
    if (got > 0)
        run->report.len += (size_t)got;
    else if (got == 0)
        end(run, false, NULL);
}

static void on_limit(void *context)
{
    end(context, true, "the doctor did not end in time");
}

struct doctor_run *doctor_run_start(struct loop *loop, const char *const *argv, doctor_done *done,
                                    void *context, struct error *err)
{
    struct doctor_run *run = xcalloc(1, sizeof *run);
    if (!platform_child_start(argv, &run->child, err)) {
        free(run);
        return NULL;
    }
    run->is_running = true;
    run->report.max_bytes = DOCTOR_REPORT_BYTES;
    run->done = done;
    run->context = context;
    run->timer = loop_timer_create(loop, on_limit, run);
    loop_timer_set(run->timer, DOCTOR_LIMIT_MS);
    run->watch = loop_watch_add(loop, run->child.output_fd, LOOP_READABLE, on_output, run);
    return run;
}

void doctor_run_destroy(struct doctor_run *run)
{
    if (!run)
        return;
    if (run->is_running) {
        loop_watch_remove(run->watch);
        platform_child_finish(&run->child, true);
    }
    loop_timer_destroy(run->timer);
    buffer_clear(&run->report);
    free(run);
}
