#include "platform/windows_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winhttp.h>
#include <wtsapi32.h>

#include "base/memory.h"
#include "platform/processes.h"
#include "platform/proxy_settings.h"

enum { PATIENCE_MS = 3000 }; /* for each step towards a script */

#define POLICY_KEY "SOFTWARE\\Policies\\Microsoft\\Windows\\CurrentVersion\\Internet Settings"
#define COMPUTER_KEY "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings"

/* What one place says; the texts are the caller's, or NULL. */
struct wishes {
    bool detects; /* the network may name a script (WPAD) */
    char *script, *list, *exceptions;
};

static void wishes_clear(struct wishes *w)
{
    free(w->script);
    free(w->list);
    free(w->exceptions);
    *w = (struct wishes){0};
}

bool platform_keeps_proxies(void)
{
    return true;
}

/* What the system hands out; freed. */
static char *take(LPWSTR wide)
{
    char *text = wide && *wide ? utf8_of(wide) : NULL;
    if (wide)
        GlobalFree(wide);
    return text;
}

static DWORD registry_number(const char *key, const char *name, DWORD otherwise)
{
    WCHAR *wide_key = wide_of(key), *wide_name = wide_of(name);
    DWORD value = otherwise, size = sizeof value;
    if (RegGetValueW(HKEY_LOCAL_MACHINE, wide_key, wide_name, RRF_RT_REG_DWORD, NULL, &value,
                     &size) != ERROR_SUCCESS)
        value = otherwise;
    free(wide_name);
    free(wide_key);
    return value;
}

/* Where a policy makes the settings the computer's, nobody's own count. */
static bool read_of_computer(struct wishes *out)
{
    if (registry_number(POLICY_KEY, "ProxySettingsPerUser", 1) != 0)
        return false;
    out->script = registry_text(HKEY_LOCAL_MACHINE, COMPUTER_KEY, "AutoConfigURL");
    if (registry_number(COMPUTER_KEY, "ProxyEnable", 0) != 0) {
        out->list = registry_text(HKEY_LOCAL_MACHINE, COMPUTER_KEY, "ProxyServer");
        out->exceptions = registry_text(HKEY_LOCAL_MACHINE, COMPUTER_KEY, "ProxyOverride");
    }
    return true;
}

static bool read_of_user(struct wishes *out)
{
    WINHTTP_CURRENT_USER_IE_PROXY_CONFIG config = {0};
    if (!WinHttpGetIEProxyConfigForCurrentUser(&config))
        return false;
    out->detects = config.fAutoDetect;
    out->script = take(config.lpszAutoConfigUrl);
    out->list = take(config.lpszProxy);
    out->exceptions = take(config.lpszProxyBypass);
    return true;
}

static bool read_of_services(struct wishes *out)
{
    WINHTTP_PROXY_INFO info = {0};
    if (!WinHttpGetDefaultProxyConfiguration(&info))
        return false;
    out->list = take(info.lpszProxy);
    out->exceptions = take(info.lpszProxyBypass);
    return info.dwAccessType == WINHTTP_ACCESS_TYPE_NAMED_PROXY;
}

/* Of who sits before the screen; only the system itself may become that user. */
static bool read_of_session(struct wishes *out)
{
    HANDLE token;
    if (platform_own_uid() != 0 || !WTSQueryUserToken(WTSGetActiveConsoleSessionId(), &token))
        return false;
    bool ok = ImpersonateLoggedOnUser(token) && read_of_user(out);
    RevertToSelf();
    CloseHandle(token);
    return ok;
}

/* "http://host:port" of what a script answered, or "" for directly; false when it could not be asked. */
static bool run_script(const char *url, const char *script, char out[PLATFORM_PROXY_BYTES])
{
    HINTERNET session =
        WinHttpOpen(L"claude-telemetry", WINHTTP_ACCESS_TYPE_NO_PROXY, NULL, NULL, 0);
    WCHAR *wide_url = wide_of(url), *wide_script = script ? wide_of(script) : NULL;
    WINHTTP_AUTOPROXY_OPTIONS how = {.fAutoLogonIfChallenged = TRUE};
    WINHTTP_PROXY_INFO info = {0};
    if (script) {
        how.dwFlags = WINHTTP_AUTOPROXY_CONFIG_URL;
        how.lpszAutoConfigUrl = wide_script;
    } else {
        how.dwFlags = WINHTTP_AUTOPROXY_AUTO_DETECT;
        how.dwAutoDetectFlags = WINHTTP_AUTO_DETECT_TYPE_DHCP | WINHTTP_AUTO_DETECT_TYPE_DNS_A;
    }
    bool ok = session &&
              WinHttpSetTimeouts(session, PATIENCE_MS, PATIENCE_MS, PATIENCE_MS, PATIENCE_MS) &&
              WinHttpGetProxyForUrl(session, wide_url, &how, &info);
    char *list = take(info.lpszProxy), *exceptions = take(info.lpszProxyBypass);
    out[0] = '\0';
    if (ok && list && info.dwAccessType == WINHTTP_ACCESS_TYPE_NAMED_PROXY)
        ok = proxy_of_list(list, strncmp(url, "https:", 6) == 0, out);
    free(exceptions);
    free(list);
    free(wide_script);
    free(wide_url);
    if (session)
        WinHttpCloseHandle(session);
    return ok;
}

/* True when this place decides. */
static bool follow(const struct wishes *w, const char *place, const char *url, const char *host,
                   struct platform_proxy *out)
{
    if (w->detects && run_script(url, NULL, out->url)) {
        snprintf(out->source, sizeof out->source, "the network's own script (WPAD), by %s", place);
        return true;
    }
    if (w->script && run_script(url, w->script, out->url)) {
        snprintf(out->source, sizeof out->source, "a script, by %s", place);
        return true;
    }
    if (w->script && !out->problem[0])
        snprintf(out->problem, sizeof out->problem, "the proxy script '%.120s' of %s cannot be run",
                 w->script, place);
    if (!w->list || !proxy_of_list(w->list, strncmp(url, "https:", 6) == 0, out->url))
        return false;
    if (w->exceptions && proxy_is_exempt(w->exceptions, host))
        out->url[0] = '\0';
    snprintf(out->source, sizeof out->source, "%s", place);
    return true;
}

void platform_proxy_for(const char *url, const char *host, struct platform_proxy *out)
{
    static const struct {
        bool (*read)(struct wishes *out);
        const char *place;
        bool is_last; /* when it is there, whatever it says */
    } places[] = {
        {read_of_computer, "the computer's proxy settings, by policy", true},
        {read_of_user, "this user's proxy settings", false},
        {read_of_services, "the proxy settings of services (netsh winhttp show proxy)", false},
        {read_of_session, "the proxy settings of the signed-in user", false},
    };
    bool decided = false;
    *out = (struct platform_proxy){0};
    for (size_t i = 0; i < sizeof places / sizeof *places && !decided; i++) {
        struct wishes w = {0};
        bool is_there = places[i].read(&w);
        decided = is_there && (follow(&w, places[i].place, url, host, out) || places[i].is_last);
        wishes_clear(&w);
    }
    if (decided && out->source[0] == '\0')
        snprintf(out->source, sizeof out->source, "%s", places[0].place);
}
