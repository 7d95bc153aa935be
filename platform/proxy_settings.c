#include "platform/proxy_settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char separators[] = "; ,\t\r\n";

/* The next word of a list; empty at its end. */
static struct bytes next_word(const char **list)
{
    *list += strspn(*list, separators);
    struct bytes word = bytes_make(*list, strcspn(*list, separators));
    *list += word.len;
    return word;
}

static struct bytes behind(struct bytes text, size_t len)
{
    return bytes_make(text.data + len, text.len - len);
}

/* "http://" or another such beginning is dropped. */
static struct bytes without_scheme(struct bytes text)
{
    for (size_t i = 0; i + 3 <= text.len; i++)
        if (memcmp(text.data + i, "://", 3) == 0)
            return behind(text, i + 3);
    return text;
}

static bool write_url(const char *scheme, struct bytes place, char out[PLATFORM_PROXY_BYTES])
{
    place = without_scheme(place);
    while (place.len > 0 && place.data[place.len - 1] == '/')
        place.len--;
    for (size_t i = 0; i < place.len; i++)
        if (place.data[i] <= ' ' || place.data[i] >= 0x7F)
            return false;
    int len = snprintf(out, PLATFORM_PROXY_BYTES, "%s://%.*s", scheme, (int)place.len,
                       (const char *)place.data);
    bool ok = place.len > 0 && len < PLATFORM_PROXY_BYTES;
    if (!ok)
        out[0] = '\0';
    return ok;
}

bool proxy_of_list(const char *list, bool is_tls, char out[PLATFORM_PROXY_BYTES])
{
    const char *own = is_tls ? "https=" : "http=";
    struct bytes general = {0}, particular = {0}, socks = {0};
    for (struct bytes word; (word = next_word(&list)).len > 0;) {
        size_t name_len = 0;
        while (name_len < word.len && word.data[name_len] != '=')
            name_len++;
        bool is_named = name_len < word.len;
        struct bytes name = bytes_make(word.data, is_named ? name_len + 1 : 0);
        struct bytes place = behind(word, name.len);
        if (!is_named && general.len == 0)
            general = place;
        else if (bytes_equal_ignoring_case(name, own) && particular.len == 0)
            particular = place;
        else if (bytes_equal_ignoring_case(name, "socks=") && socks.len == 0)
            socks = place;
    }
    out[0] = '\0';
    if (particular.len == 0)
        particular = general;
    return particular.len > 0 ? write_url("http", particular, out)
                              : write_url("socks4a", socks, out);
}

/* '*' stands for any number of characters. */
static bool fits(struct bytes pattern, const char *host)
{
    struct bytes at = pattern, star = {0};
    const char *retry = NULL;
    while (*host) {
        if (at.len > 0 && at.data[0] == '*') {
            star = at = behind(at, 1);
            retry = host;
        } else if (at.len > 0 &&
                   tolower((unsigned char)at.data[0]) == tolower((unsigned char)*host)) {
            at = behind(at, 1);
            host++;
        } else if (retry) {
            at = star;
            host = ++retry;
        } else {
            return false;
        }
    }
    while (at.len > 0 && at.data[0] == '*')
        at = behind(at, 1);
    return at.len == 0;
}

/* "10", "169.254" or "192.168.1.1" up to `end`, missing parts as 0. */
static bool read_ipv4(const char *text, const char *end, bool is_whole, uint32_t *out)
{
    int parts = 0;
    *out = 0;
    for (; text < end && parts < 4; parts++) {
        char *after;
        unsigned long part = isdigit((unsigned char)*text) ? strtoul(text, &after, 10) : 256;
        if (part > 255 || (after < end && *after != '.'))
            return false;
        *out |= (uint32_t)part << (24 - 8 * parts);
        text = after < end ? after + 1 : end;
    }
    return text == end && parts > 0 && (!is_whole || parts == 4);
}

static bool is_in_network(struct bytes word, const char *host)
{
    char text[40];
    uint32_t network, address;
    if (word.len >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)word.len, (const char *)word.data);
    char *slash = strchr(text, '/');
    long bits = slash && isdigit((unsigned char)slash[1]) ? strtol(slash + 1, NULL, 10) : -1;
    if (bits < 0 || bits > 32 || !read_ipv4(text, slash, false, &network) ||
        !read_ipv4(host, host + strlen(host), true, &address))
        return false;
    uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
    return (network & mask) == (address & mask);
}

/* "name:8080" without what is no part of a name. */
static struct bytes without_port(struct bytes word)
{
    size_t len = word.len;
    while (len > 0 && isdigit(word.data[len - 1]))
        len--;
    return len > 1 && len < word.len && word.data[len - 1] == ':' &&
                   !memchr(word.data, ':', len - 1)
               ? bytes_make(word.data, len - 1)
               : word;
}

bool proxy_is_exempt(const char *list, const char *host)
{
    for (struct bytes word; (word = next_word(&list)).len > 0;) {
        if (bytes_equal_ignoring_case(word, "<local>")) {
            if (!strchr(host, '.') && !strchr(host, ':'))
                return true;
        } else if (is_in_network(word, host) || fits(without_port(without_scheme(word)), host)) {
            return true;
        }
    }
    return false;
}

/* ---- scutil ---- */

/* Of "  HTTPSProxy : proxy.example" the value; empty when there is no such line. */
static struct bytes scutil_value(struct bytes text, const char *name)
{
    size_t len = strlen(name);
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        struct bytes line = bytes_make(text.data, end ? (size_t)(end - text.data) : text.len);
        text = behind(text, line.len + (end ? 1 : 0));
        while (line.len > 0 && line.data[0] == ' ')
            line = behind(line, 1);
        if (line.len > len + 3 && memcmp(line.data, name, len) == 0 &&
            memcmp(line.data + len, " : ", 3) == 0)
            return behind(line, len + 3);
    }
    return bytes_make(NULL, 0);
}

/* Whether "ExceptionsList : <array> { 0 : a, 1 : b }", a line an entry, names the host. */
static bool scutil_exempts(struct bytes text, const char *host)
{
    struct bytes start = scutil_value(text, "ExceptionsList");
    if (bytes_equal_text(scutil_value(text, "ExcludeSimpleHostnames"), "1") &&
        proxy_is_exempt("<local>", host))
        return true;
    if (start.len == 0)
        return false;
    text = behind(text, (size_t)(start.data - text.data));
    const uint8_t *end = memchr(text.data, '}', text.len);
    text.len = end ? (size_t)(end - text.data) : text.len;
    for (unsigned i = 0;; i++) {
        char index[16], entry[256];
        snprintf(index, sizeof index, "%u", i);
        struct bytes value = scutil_value(text, index);
        if (value.len == 0)
            return false;
        snprintf(entry, sizeof entry, "%.*s", (int)(value.len < 255 ? value.len : 255),
                 (const char *)value.data);
        if (proxy_is_exempt(entry, host))
            return true;
    }
}

/* True when this kind is switched on and names a place. */
static bool scutil_place(struct bytes text, const char *kind, const char *scheme,
                         char out[PLATFORM_PROXY_BYTES])
{
    char name[32], place[PLATFORM_PROXY_BYTES];
    snprintf(name, sizeof name, "%sEnable", kind);
    if (!bytes_equal_text(scutil_value(text, name), "1"))
        return false;
    snprintf(name, sizeof name, "%sProxy", kind);
    struct bytes host = scutil_value(text, name);
    snprintf(name, sizeof name, "%sPort", kind);
    struct bytes port = scutil_value(text, name);
    int len = snprintf(place, sizeof place, "%.*s%s%.*s", (int)host.len, (const char *)host.data,
                       port.len > 0 ? ":" : "", (int)port.len, (const char *)port.data);
    return host.len > 0 && len < (int)sizeof place && write_url(scheme, bytes_of(place), out);
}

void proxy_of_scutil(struct bytes text, bool is_tls, const char *host, struct platform_proxy *out)
{
    *out = (struct platform_proxy){0};
    bool has_script = bytes_equal_text(scutil_value(text, "ProxyAutoConfigEnable"), "1");
    struct bytes script = scutil_value(text, "ProxyAutoConfigURLString");
    bool found = scutil_place(text, is_tls ? "HTTPS" : "HTTP", "http", out->url) ||
                 scutil_place(text, "SOCKS", "socks5h", out->url);
    if (found && scutil_exempts(text, host))
        out->url[0] = '\0';
    if (found)
        snprintf(out->source, sizeof out->source,
                 "the network settings of this Mac (scutil --proxy)");
    else
        out->url[0] = '\0';
    if (has_script)
        snprintf(out->problem, sizeof out->problem,
                 "the network settings name a proxy script, which is not run: %.*s",
                 (int)(script.len < 150 ? script.len : 150),
                 script.len > 0 ? (const char *)script.data : "");
}
