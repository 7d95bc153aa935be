#include <string.h>

#include "platform/platform.h"
#include "platform/processes.h"
#include "platform/proxy_settings.h"

bool platform_keeps_proxies(void)
{
    return true;
}

void platform_proxy_for(const char *url, const char *host, struct platform_proxy *out)
{
    enum { LIMIT_MS = 3000 };
    struct platform_command command = {.program = "/usr/sbin/scutil",
                                       .argument = "--proxy",
                                       .user = "root",
                                       .uid = platform_own_uid(),
                                       .gid = platform_own_uid(),
                                       .home = "/",
                                       .timeout_ms = LIMIT_MS};
    struct buffer text = {.max_bytes = 64 * KIB};
    struct error ignored;
    *out = (struct platform_proxy){0};
    if (platform_run_command(&command, &text, &ignored))
        proxy_of_scutil(buffer_bytes(&text), strncmp(url, "https:", 6) == 0, host, out);
    buffer_clear(&text);
}
