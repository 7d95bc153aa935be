/*
 * Which proxy the system's settings name for a URL (platform/proxy.h), for an event loop: asking
 * blocks, so it is done on a thread, and the answer is kept for a while. Only for systems that have
 * such settings.
 */
#ifndef CORE_HTTP_SYSTEM_PROXY_H
#define CORE_HTTP_SYSTEM_PROXY_H

struct loop;
struct system_proxies;

struct system_proxies *system_proxies_create(struct loop *loop);

/* Waits for what is being asked. NULL is fine. */
void system_proxies_destroy(struct system_proxies *proxies);

/*
 * The proxy for `url` ("" for none), whose host is `host`. NULL: not known yet; then `known` is
 * called on the loop's thread once it is worth asking again. Borrowed until the loop goes on.
 */
typedef void system_proxies_known(void *context);
const char *system_proxies_find(struct system_proxies *proxies, const char *url, const char *host,
                                system_proxies_known *known, void *context);

#endif
