/*
 * The proxy that the system's own settings name, which programs follow that no variable tells
 * otherwise. Windows: by policy the computer's Internet settings, else those of the user we are, those
 * of services (netsh winhttp), and for a service those of who sits before the screen; a script (PAC)
 * is run, a network that offers one (WPAD) is asked, as browsers do. macOS: the network's proxies; its scripts are not
 * run. Linux has no such settings.
 */
#ifndef PLATFORM_PROXY_H
#define PLATFORM_PROXY_H

#include <stdbool.h>

enum { PLATFORM_PROXY_BYTES = 300 };

struct platform_proxy {
    char url[PLATFORM_PROXY_BYTES]; /* "http://proxy.example:8080"; "" directly */
    char source[160];  /* who says so, also if "directly", for a person; "" nobody does */
    char problem[240]; /* what of the settings could not be followed; "" */
};

/* Whether the system has such settings at all: where not, nothing has to be asked. */
bool platform_keeps_proxies(void);

/*
 * For a request to `url`, whose host is `host`. Blocks, for some seconds where a script or the network is asked: not
 * for an event loop's thread. `out` is filled whatever happens.
 */
void platform_proxy_for(const char *url, const char *host, struct platform_proxy *out);

#endif
