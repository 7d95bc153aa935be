#include <check.h>
#include <string.h>

#include "platform/proxy_settings.h"
#include "tests/support/expect.h"

static char url[PLATFORM_PROXY_BYTES];

START_TEST(a_list_names_a_proxy_for_all_or_one_for_each_scheme)
{
    ck_assert(proxy_of_list("proxy.example:8080", true, url));
    ck_assert_str_eq(url, "http://proxy.example:8080");
    ck_assert(proxy_of_list("http=a:80;https=b:81", true, url));
    ck_assert_str_eq(url, "http://b:81");
    ck_assert(proxy_of_list("http=a:80;https=b:81", false, url));
    ck_assert_str_eq(url, "http://a:80");
    ck_assert(proxy_of_list("HTTPS=http://b:81/ HTTPS=c:1", true, url)); /* the first counts */
    ck_assert_str_eq(url, "http://b:81");
    ck_assert(proxy_of_list("first:1;second:2", true, url)); /* what a script answers */
    ck_assert_str_eq(url, "http://first:1");
    ck_assert(proxy_of_list("http=a:80;other:2", true, url));
    ck_assert_str_eq(url, "http://other:2");
    ck_assert(proxy_of_list("socks=s:1080", true, url));
    ck_assert_str_eq(url, "socks4a://s:1080");
}
END_TEST

START_TEST(a_list_without_a_proxy_for_the_scheme_names_none)
{
    static const char *const lists[] = {"",         ";; ",    "http=a:80",
                                        "ftp=a:21", "https=", "https=http://"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        ck_assert_msg(!proxy_of_list(lists[i], true, url), "%s: %s", lists[i], url);
        ck_assert_str_eq(url, "");
    }
    char long_name[PLATFORM_PROXY_BYTES + 1];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert(!proxy_of_list(long_name, true, url));
    ck_assert_str_eq(url, "");
}
END_TEST

START_TEST(exceptions_name_hosts_patterns_and_networks)
{
    static const struct {
        const char *list, *host;
        bool exempt;
    } cases[] = {
        {"", "a.example", false},
        {"a.example", "A.Example", true},
        {"a.example", "b.a.example", false},
        {"*.example", "a.b.example", true},
        {"*.example", "example", false},
        {"*example*", "an.example.com", true},
        {"x;*.example", "a.example", true},
        {"x *.example", "a.example", true},
        {"<local>", "intranet", true},
        {"<local>", "intra.net", false},
        {"<-loopback>", "a.example", false},
        {"https://a.example:8443", "a.example", true},
        {"10.*", "10.1.2.3", true},
        {"169.254/16", "169.254.7.8", true},
        {"169.254/16", "169.255.7.8", false},
        {"169.254/16", "169.254.evil.example", false},
        {"0/0", "1.2.3.4", true},
        {"10/33", "10.0.0.1", false},
        {"*a*b*c", "xxaxxbxxc", true},
        {"*a*b*c", "xxaxxcxxb", false},
        {"*", "anything", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(proxy_is_exempt(cases[i].list, cases[i].host) == cases[i].exempt, "%s on %s",
                      cases[i].list, cases[i].host);
}
END_TEST

/* As scutil prints it on macOS 15. */
static const char scutil[] = "<dictionary> {\n"
                             "  ExceptionsList : <array> {\n"
                             "    0 : *.local\n"
                             "    1 : 169.254/16\n"
                             "  }\n"
                             "  ExcludeSimpleHostnames : 1\n"
                             "  FTPPassive : 1\n"
                             "  HTTPEnable : 0\n"
                             "  HTTPSEnable : 1\n"
                             "  HTTPSPort : 8443\n"
                             "  HTTPSProxy : proxy.example\n"
                             "  ProxyAutoConfigEnable : 1\n"
                             "  ProxyAutoConfigURLString : http://wpad.example/p.pac\n"
                             "}\n";

START_TEST(the_network_settings_of_a_mac_are_read)
{
    struct platform_proxy proxy;
    proxy_of_scutil(bytes_of(scutil), true, "telemetry.example", &proxy);
    ck_assert_str_eq(proxy.url, "http://proxy.example:8443");
    ck_assert_str_ne(proxy.source, "");
    ck_assert_ptr_nonnull(strstr(proxy.problem, "http://wpad.example/p.pac"));

    static const char *const direct[] = {"printer.local", "169.254.3.4", "intranet"};
    for (size_t i = 0; i < sizeof direct / sizeof *direct; i++) {
        proxy_of_scutil(bytes_of(scutil), true, direct[i], &proxy);
        ck_assert_msg(proxy.url[0] == '\0', "%s", direct[i]);
        ck_assert_str_ne(proxy.source, "");
    }
    proxy_of_scutil(bytes_of(scutil), false, "telemetry.example", &proxy); /* it is switched off */
    ck_assert_str_eq(proxy.url, "");
    ck_assert_str_eq(proxy.source, "");
    for (size_t len = 0; len < sizeof scutil; len++)
        proxy_of_scutil(bytes_make(scutil, len), true, "telemetry.example", &proxy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy");
    TCase *t = tcase_create("settings");
    tcase_add_test(t, a_list_names_a_proxy_for_all_or_one_for_each_scheme);
    tcase_add_test(t, a_list_without_a_proxy_for_the_scheme_names_none);
    tcase_add_test(t, exceptions_name_hosts_patterns_and_networks);
    tcase_add_test(t, the_network_settings_of_a_mac_are_read);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
