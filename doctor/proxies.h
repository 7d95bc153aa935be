/*
 * Which proxy a request goes through, by the variables of whoever makes it: the agent's service
 * has an environment of its own, and Claude Code takes what its settings and its shell say.
 */
#ifndef DOCTOR_PROXIES_H
#define DOCTOR_PROXIES_H

#include <stdbool.h>

#include "doctor/settings_view.h"
#include "platform/proxy.h"

struct scene;

/* The value of a variable; NULL when it is not set. */
typedef const char *proxies_get(const void *context, const char *name);

enum proxies_rules {
    PROXIES_OF_CURL,        /* HTTP_PROXY in capitals is not read; a name covers those below it */
    PROXIES_OF_CLAUDE_CODE, /* both spellings; ".name" covers those below it */
};

/* The variable that names the proxy for `url`; NULL when the request goes directly. */
const char *proxies_variable(const char *url, enum proxies_rules rules, proxies_get *get,
                             const void *context);

/*
 * The proxy that the relay's requests take, for struct http_call: NULL where the environment of
 * this process decides, since the agent's own cannot be read, "" for none. Borrowed from `scene`, or
 * from `system`, which is filled where no variable names one and the system's settings count.
 */
const char *proxies_of_agent(const struct scene *scene, const char *url,
                             struct platform_proxy *system);
/* The same for Claude Code; "" for none. Borrowed from `view`. */
const char *proxies_of_view(const struct settings_view *view, const char *url);

/* What the system's settings say of `url`, whose host they are asked for; "" for none. */
const char *proxies_of_system(const char *url, struct platform_proxy *system);

#endif
