/* run: the service, in the foreground. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/command.h"
#include "agent/service.h"
#include "platform/service.h"

struct running {
    struct loop *loop;
    struct log *log;
    struct service *service;
    bool is_stopping;
};

static void end_loop(void *context)
{
    struct running *r = context;
    loop_stop(r->loop);
}

static void on_stop(void *context)
{
    struct running *r = context;
    if (r->is_stopping) {
        loop_stop(r->loop); /* asked twice: no more goodbyes */
        return;
    }
    r->is_stopping = true;
    platform_service_notify("STOPPING=1");
    log_info(r->log, "agent", "stops");
    service_leave(r->service, end_loop, r);
}

static void on_reload(void *context)
{
    struct running *r = context;
    if (!r->is_stopping)
        service_reload(r->service);
}

static bool take_signals(struct running *r, struct error *err)
{
    return loop_on_signal(r->loop, SIGTERM, on_stop, r, err) &&
           loop_on_signal(r->loop, SIGINT, on_stop, r, err) &&
           loop_on_signal(r->loop, SIGHUP, on_reload, r, err);
}

static struct log *create_log(const struct config *values)
{
    enum log_level level = LOG_INFO_LEVEL;
    (void)!log_level_of_name(config_text(values, "log.level"), &level);
    return log_create(level, strcmp(config_text(values, "log.format"), "json") == 0);
}

int command_run(const struct command_line *line)
{
    struct running r = {0};
    struct error err = {0};
    int code = EXIT_FAILED;
    struct agent_config *config = command_load_config(line);
    if (!config)
        return EXIT_USAGE;

    r.log = create_log(config->values);
    r.loop = loop_create(&err);
    if (r.loop)
        r.service = service_create(line, config, r.loop, r.log, &err);
    else
        agent_config_destroy(config);
    if (r.service && take_signals(&r, &err)) {
        platform_service_notify("READY=1");
        loop_run(r.loop);
        code = EXIT_DONE;
    } else {
        command_fail(&err);
    }
    service_destroy(r.service);
    loop_destroy(r.loop);
    log_destroy(r.log);
    return code;
}
