#include "doctor/proxies.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "doctor/scene.h"

/* Without user, port and brackets. */
static struct bytes host_of(const char *url)
{
    const char *at = strstr(url, "://");
    at = at ? at + 3 : url;
    size_t len = strcspn(at, "/?#");
    for (size_t i = 0; i < len; i++)
        if (at[i] == '@') {
            at += i + 1;
            len -= i + 1;
            i = 0;
        }
    if (*at == '[')
        return bytes_make(at + 1, strcspn(at + 1, "]"));
    size_t host = strcspn(at, ":");
    return bytes_make(at, host < len ? host : len);
}

static bool is_loopback(struct bytes host)
{
    return bytes_starts_with(host, "127.") || bytes_equal_ignoring_case(host, "localhost") ||
           bytes_equal_text(host, "::1");
}

static bool ends_with(struct bytes host, const char *end, size_t len)
{
    return host.len >= len && strncasecmp((const char *)host.data + host.len - len, end, len) == 0;
}

static bool covers(const char *word, size_t len, struct bytes host, enum proxies_rules rules)
{
    if (len == 1 && *word == '*')
        return true;
    bool dotted = len > 1 && *word == '.';
    if (dotted && ends_with(host, word, len))
        return true;
    if (dotted && rules == PROXIES_OF_CURL) {
        word++;
        len--;
    }
    if (!ends_with(host, word, len))
        return false;
    return host.len == len || (rules == PROXIES_OF_CURL && host.data[host.len - len - 1] == '.');
}

static bool is_exempt(struct bytes host, enum proxies_rules rules, proxies_get *get,
                      const void *context)
{
    const char *list = get(context, "no_proxy");
    if (!list || !*list)
        list = get(context, "NO_PROXY");
    for (const char *at = list; at && *at;) {
        at += strspn(at, ", ");
        size_t len = strcspn(at, ", ");
        if (len > 0 && covers(at, len, host, rules))
            return true;
        at += len;
    }
    return false;
}

const char *proxies_variable(const char *url, enum proxies_rules rules, proxies_get *get,
                             const void *context)
{
    static const char *const plain[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    static const char *const tls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    bool is_tls = strncasecmp(url, "https:", 6) == 0;
    for (size_t i = 0; i < 4; i++) {
        const char *name = is_tls ? tls[i] : plain[i];
        if (rules == PROXIES_OF_CURL && strcmp(name, "HTTP_PROXY") == 0)
            continue;
        const char *value = get(context, name);
        if (value && *value)
            return is_exempt(host_of(url), rules, get, context) ? NULL : name;
    }
    return NULL;
}

/* NAME=VALUE, each followed by a NUL. */
static const char *get_of_environment(const void *context, const char *name)
{
    const struct buffer *all = context;
    size_t len = strlen(name);
    for (size_t at = 0; at < all->len;) {
        const char *line = (const char *)all->data + at;
        size_t line_len = strnlen(line, all->len - at);
        if (line_len > len && line[len] == '=' && strncmp(line, name, len) == 0 &&
            at + line_len < all->len)
            return line + len + 1;
        at += line_len + 1;
    }
    return NULL;
}

const char *proxies_of_system(const char *url, struct platform_proxy *system)
{
    struct bytes name = host_of(url);
    *system = (struct platform_proxy){0};
    if (!platform_keeps_proxies() || is_loopback(name))
        return system->url;
    char *host = xstrndup((const char *)name.data, name.len);
    platform_proxy_for(url, host, system);
    free(host);
    return system->url;
}

const char *proxies_of_agent(const struct scene *scene, const char *url,
                             struct platform_proxy *system)
{
    *system = (struct platform_proxy){0};
    if (!scene->has_agent_environment)
        return NULL;
    const struct buffer *all = &scene->agent_environment;
    if (is_loopback(host_of(url)))
        return "";
    const char *name = proxies_variable(url, PROXIES_OF_CURL, get_of_environment, all);
    return name ? get_of_environment(all, name) : proxies_of_system(url, system);
}

static const char *get_of_view(const void *context, const char *name)
{
    return view_value(context, name);
}

const char *proxies_of_view(const struct settings_view *view, const char *url)
{
    const char *name = is_loopback(host_of(url))
                           ? NULL
                           : proxies_variable(url, PROXIES_OF_CLAUDE_CODE, get_of_view, view);
    return name ? view_value(view, name) : "";
}
