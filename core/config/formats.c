/* What a text must look like: URL, address, path. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/config.h"
#include "platform/platform.h"

bool config_check_url(const char *text, struct error *err)
{
    size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
                    : strncmp(text, "http://", 7) == 0 ? 7
                                                       : 0;
    bool has_host = scheme > 0 && text[scheme] != '\0' && !strchr("/:?#", text[scheme]);
    if (!has_host)
        return error_set(err, FAIL_INVALID, "must be an http:// or https:// URL, not '%.80s'",
                         text);
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7F)
            return error_set(err, FAIL_INVALID, "must be a URL without spaces, not '%.80s'", text);
    const char *host = text + scheme;
    if (memchr(host, '@', strcspn(host, "/?#"))) {
        error_set(err, FAIL_INVALID, "must be a URL without a user name or password in it");
        return error_remedy(err, "put the credential into 'headers' with ${file:PATH}");
    }
    return true;
}

bool config_check_address(const char *text, struct error *err)
{
    const char *colon = strrchr(text, ':');
    bool is_v6 = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
    bool is_host = colon && colon > text && memchr(text, ':', (size_t)(colon - text)) == NULL;
    char *end = NULL;
    long port = colon && isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10) : -1;
    if ((is_v6 || is_host) && port >= 0 && port <= 65535 && *end == '\0')
        return true;
    error_set(err, FAIL_INVALID, "must be HOST:PORT or [IPV6]:PORT, not '%.80s'", text);
    return error_remedy(err, "write for example 127.0.0.1:14318");
}

bool config_check_path(const char *text, struct error *err)
{
    bool has_drive = isalpha((unsigned char)text[0]) && text[1] == ':';
    if (text[0] == '/' || has_drive)
        return true;
    return error_set(err, FAIL_INVALID, "must be an absolute path, not '%.80s'", text);
}

char *config_path_under(const char *root, const char *path)
{
    size_t len = root ? strlen(root) : 0;
    while (len > 0 && root[len - 1] == '/')
        len--;
    bool is_there = len > 0 && strncmp(path, root, len) == 0 && path[len] == '/';
    return is_there ? xstrdup(path) : platform_under_root(root, path);
}
