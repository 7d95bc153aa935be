/* A service of systemd and launchd is a program in the foreground, asked by signals. */
#include <signal.h>

#include "platform/service.h"

int platform_service_run(int (*body)(void *context), void *context)
{
    return body(context);
}

const int *platform_request_signals(enum platform_request request)
{
    static const int stop[] = {SIGTERM, SIGINT, 0}, reload[] = {SIGHUP, 0};
    return request == PLATFORM_STOP ? stop : reload;
}

const char *platform_admin_prefix(void)
{
    return "sudo ";
}

/* Files tell: units, and the jobs of launchd. */
enum platform_service_state platform_service_state(void)
{
    return PLATFORM_SERVICE_UNKNOWN;
}

void platform_service_listen(platform_requested *callback, void *context)
{
    (void)callback;
    (void)context;
}
