/* What systems say of proxies and of what a process was started with: any bytes give texts that end. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/procargs.h"
#include "platform/proxy_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_ended(struct bytes texts)
{
    if (texts.len > 0 && texts.data[texts.len - 1] != '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct platform_process process = {0};
    struct platform_proxy proxy;
    char url[PLATFORM_PROXY_BYTES];
    procargs_take_apart(bytes_make(data, size), &process);
    expect_ended(process.command);
    expect_ended(process.environment);

    proxy_of_scutil(bytes_make(data, size), true, "telemetry.example", &proxy);
    if (proxy.url[0] && !strstr(proxy.url, "://"))
        abort();
    char *text = xstrndup((const char *)data, size);
    if (proxy_of_list(text, true, url) != (url[0] != '\0'))
        abort();
    (void)proxy_is_exempt(text, "10.1.2.3");
    (void)proxy_is_exempt("*.example", text);
    free(text);
    return 0;
}
