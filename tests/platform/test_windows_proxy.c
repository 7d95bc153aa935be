/*
 * What the system's settings say of proxies, from the registry to a request. They are the computer's,
 * so this runs under Wine only, whose registry belongs to the tests.
 */
#include "platform/windows_text.h"

#include <stdio.h>
#include <winhttp.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/client.h"
#include "platform/proxy.h"
#include "tests/support/canned_peer.h"
#include "tests/support/environment.h"
#include "tests/support/expect.h"

#define POLICY L"SOFTWARE\\Policies\\Microsoft\\Windows\\CurrentVersion\\Internet Settings"
#define COMPUTER L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings"

static struct error err;
static struct platform_proxy proxy;

static void put_number(const WCHAR *key, const WCHAR *name, DWORD value)
{
    ck_assert_int_eq(RegSetKeyValueW(HKEY_LOCAL_MACHINE, key, name, REG_DWORD, &value,
                                     sizeof value),
                     0);
}

static void put_text(const WCHAR *name, const char *text)
{
    WCHAR *wide = wide_of(text);
    DWORD size = (DWORD)((wcslen(wide) + 1) * sizeof *wide);
    ck_assert_int_eq(RegSetKeyValueW(HKEY_LOCAL_MACHINE, COMPUTER, name, REG_SZ, wide, size), 0);
    free(wide);
}

static void forget_settings(void)
{
    static const WCHAR *const names[] = {L"ProxyEnable", L"ProxyServer", L"ProxyOverride",
                                         L"AutoConfigURL"};
    RegDeleteKeyValueW(HKEY_LOCAL_MACHINE, POLICY, L"ProxySettingsPerUser");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        RegDeleteKeyValueW(HKEY_LOCAL_MACHINE, COMPUTER, names[i]);
    WINHTTP_PROXY_INFO none = {.dwAccessType = WINHTTP_ACCESS_TYPE_NO_PROXY};
    WinHttpSetDefaultProxyConfiguration(&none);
    environment_set("http_proxy", NULL);
    environment_set("all_proxy", NULL);
}

/* What the computer's settings are by policy, as a group policy or an MDM sets them. */
static void use_proxy(const char *list, const char *exceptions)
{
    put_number(POLICY, L"ProxySettingsPerUser", 0);
    put_number(COMPUTER, L"ProxyEnable", 1);
    put_text(L"ProxyServer", list);
    put_text(L"ProxyOverride", exceptions);
}

static const char *ask(const char *url, const char *host)
{
    platform_proxy_for(url, host, &proxy);
    return proxy.url;
}

START_TEST(the_computers_settings_count_by_policy)
{
    use_proxy("http=a.example:80;https=b.example:81", "*.corp.example;<local>");
    ck_assert_str_eq(ask("https://t.example/", "t.example"), "http://b.example:81");
    ck_assert_ptr_nonnull(strstr(proxy.source, "by policy"));
    ck_assert_str_eq(ask("http://t.example/", "t.example"), "http://a.example:80");
    ck_assert_str_eq(ask("https://t.corp.example/", "t.corp.example"), "");
    ck_assert_str_ne(proxy.source, ""); /* and it is told who says so */
    ck_assert_str_eq(ask("https://intranet/", "intranet"), "");
    put_number(COMPUTER, L"ProxyEnable", 0);
    ck_assert_str_eq(ask("https://t.example/", "t.example"), "");
}
END_TEST

START_TEST(the_settings_of_services_count_where_nobody_else_has_any)
{
    WCHAR list[] = L"services.example:8080", exceptions[] = L"*.corp.example";
    WINHTTP_PROXY_INFO info = {.dwAccessType = WINHTTP_ACCESS_TYPE_NAMED_PROXY,
                               .lpszProxy = list,
                               .lpszProxyBypass = exceptions};
    ck_assert(WinHttpSetDefaultProxyConfiguration(&info));
    ck_assert_str_eq(ask("https://t.example/", "t.example"), "http://services.example:8080");
    ck_assert_ptr_nonnull(strstr(proxy.source, "netsh winhttp"));
    ck_assert_str_eq(ask("https://t.corp.example/", "t.corp.example"), "");
}
END_TEST

START_TEST(a_script_is_run)
{
    static const char script[] = "function FindProxyForURL(url, host) {\n"
                                 "  if (host == 'direct.example') return 'DIRECT';\n"
                                 "  return 'PROXY scripted.example:3128; DIRECT';\n"
                                 "}\n";
    char answer[600], url[80];
    snprintf(answer, sizeof answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n"
             "Content-Length: %u\r\nConnection: close\r\n\r\n%s",
             (unsigned)strlen(script), script);
    struct canned_peer *peer = canned_peer_create(answer);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/proxy.pac", canned_peer_port(peer));
    put_number(POLICY, L"ProxySettingsPerUser", 0);
    put_text(L"AutoConfigURL", url);
    ck_assert_str_eq(ask("https://t.example/", "t.example"), "http://scripted.example:3128");
    ck_assert_ptr_nonnull(strstr(proxy.source, "a script"));
    ck_assert_str_eq(ask("https://direct.example/", "direct.example"), "");
    ck_assert_ptr_nonnull(strstr(proxy.source, "a script"));
    canned_peer_destroy(peer);

    put_text(L"AutoConfigURL", "http://127.0.0.1:1/gone.pac");
    ck_assert_str_eq(ask("https://t2.example/", "t2.example"), "");
    ck_assert_ptr_nonnull(strstr(proxy.problem, "http://127.0.0.1:1/gone.pac"));
}
END_TEST

/* ---- A request ---- */

static int status;
static struct loop *loop;

static void on_done(void *context, const struct http_result *result)
{
    (void)context;
    status = result->status;
    loop_stop(loop);
}

static int get(struct http_client *client, const char *url)
{
    status = -1;
    http_client_start(client, &(struct http_call){.method = "GET", .url = url}, on_done, NULL);
    ck_assert_int_eq(status, -1); /* never from inside the call */
    loop_run(loop);
    return status;
}

START_TEST(requests_go_through_it_unless_a_variable_or_the_loopback_says_otherwise)
{
    static const char by_proxy[] = "HTTP/1.1 299 By Proxy\r\nContent-Length: 0\r\n\r\n";
    static const char by_variable[] = "HTTP/1.1 298 By Variable\r\nContent-Length: 0\r\n\r\n";
    static const char direct[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct canned_peer *peer = canned_peer_create(by_proxy), *own = canned_peer_create(direct),
                       *other = canned_peer_create(by_variable);
    char place[64], url[64];
    loop = loop_create(&err);
    struct http_client *client = http_client_create(loop, &err);
    snprintf(place, sizeof place, "127.0.0.1:%u", canned_peer_port(peer));
    use_proxy(place, "");
    ck_assert_int_eq(get(client, "http://telemetry.invalid/x"), 299);
    ck_assert_int_eq(get(client, "http://telemetry.invalid/x"), 299); /* known by now */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", canned_peer_port(own));
    ck_assert_int_eq(get(client, url), 200);

    struct buffer body = {0}, headers = {0};
    struct http_result result;
    struct http_call call = {.method = "GET", .url = "http://telemetry.invalid/y"};
    http_client_perform(&call, &result, &body, &headers);
    ck_assert_int_eq(result.status, 299);
    call.proxy = ""; /* none, says the caller */
    http_client_perform(&call, &result, &body, &headers);
    ck_assert_int_eq(result.stage, HTTP_STAGE_RESOLVE);

    snprintf(place, sizeof place, "http://127.0.0.1:%u", canned_peer_port(other));
    environment_set("http_proxy", place);
    ck_assert_int_eq(get(client, "http://telemetry.invalid/x"), 298);
    environment_set("http_proxy", NULL);

    /* What waits for an answer when everything ends is neither called nor lost. */
    http_client_start(client, &(struct http_call){.method = "GET", .url = "http://late.invalid/"},
                      on_done, NULL);
    http_client_destroy(client);
    loop_destroy(loop);
    buffer_clear(&body);
    buffer_clear(&headers);
    canned_peer_destroy(other);
    canned_peer_destroy(own);
    canned_peer_destroy(peer);
}
END_TEST

int main(void)
{
    HMODULE system = GetModuleHandleA("ntdll.dll");
    if (!system || !GetProcAddress(system, "wine_get_version")) {
        puts("skipped: it would change this computer's proxy settings");
        return EXIT_SUCCESS;
    }
    Suite *suite = suite_create("windows proxy");
    TCase *t = tcase_create("settings");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, forget_settings, forget_settings);
    tcase_add_test(t, the_computers_settings_count_by_policy);
    tcase_add_test(t, the_settings_of_services_count_where_nobody_else_has_any);
    tcase_add_test(t, a_script_is_run);
    tcase_add_test(t, requests_go_through_it_unless_a_variable_or_the_loopback_says_otherwise);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
