/* run: the service, in the foreground. */
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

/* On a thread of the system's. */
static void on_request(void *context, enum platform_request request)
{
    struct running *r = context;
    loop_post(r->loop, request == PLATFORM_STOP ? on_stop : on_reload, r);
}

static bool take_requests(struct running *r, struct error *err)
{
    static loop_callback *const answers[] = {
        [PLATFORM_STOP] = on_stop, [PLATFORM_RELOAD] = on_reload};
    for (enum platform_request request = PLATFORM_STOP; request <= PLATFORM_RELOAD; request++)
        for (const int *signal = platform_request_signals(request); *signal; signal++)
            if (!loop_on_signal(r->loop, *signal, answers[request], r, err))
                return false;
    platform_service_listen(on_request, r);
    return true;
}

static struct log *create_log(const struct config *values)
{
    enum log_level level = LOG_INFO_LEVEL;
    (void)!log_level_of_name(config_text(values, "log.level"), &level);
    return log_create(level, strcmp(config_text(values, "log.format"), "json") == 0);
}

static int run(void *context)
{
    const struct command_line *line = context;
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
    if (r.service && take_requests(&r, &err)) {
        platform_service_notify("READY=1");
        loop_run(r.loop);
        code = EXIT_DONE;
    } else {
        command_fail(&err);
    }
    platform_service_listen(NULL, NULL);
    service_destroy(r.service);
    loop_destroy(r.loop);
    log_destroy(r.log);
    return code;
}

int command_run(const struct command_line *line)
{
    return platform_service_run(run, (void *)line);
}
