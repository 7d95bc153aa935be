#include "agent/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct config_problems problems;
static struct error err;
static char *root;
static char *path;

static void set_up(void)
{
    root = temp_dir_make();
    char *dir = xasprintf("%s/etc/claude-telemetry", root);
    path = xasprintf("%s/agent.yaml", dir);
    expect_ok(fs_make_dirs(&fs_real, dir, 0755, &err));
    free(dir);
}

static void tear_down(void)
{
    config_problems_clear(&problems);
    free(path);
    temp_dir_remove(root);
}

static struct agent_config *load(const char *text)
{
    expect_ok(fs_replace_file(&fs_real, path, bytes_of(text), 0600, &err));
    return agent_config_load(root, NULL, &fs_real, &problems);
}

static void expect_url(const struct config *destination, const char *signal, const char *expected)
{
    struct buffer url = {.max_bytes = 1000};
    bool found = agent_destination_url(destination, signal, &url);
    ck_assert_int_eq(found, expected != NULL);
    if (expected)
        expect_text(buffer_bytes(&url), expected);
    buffer_clear(&url);
}

/* The example that the contract gives, whole. */
static const char documented[] =
    "server:\n"
    "  url: https://telemetry.example.com\n"
    "  ca_file: /etc/ssl/corp.pem\n"
    "  enrollment_secret_file: /etc/claude-telemetry/enrollment-secret\n"
    "heartbeat: { interval_seconds: 60 }\n"
    "identity:\n"
    "  email: alice@example.com\n"
    "  email_from: [mdm, directory, command]\n"
    "  email_domain: example.com\n"
    "claude:\n"
    "  mode: relay\n"
    "  settings: auto\n"
    "  user_env: true\n"
    "  signals: [metrics, logs, traces]\n"
    "  log_user_prompts: false\n"
    "  log_tool_details: false\n"
    "  resource_attributes: { team: platform }\n"
    "relay:\n"
    "  listen: 127.0.0.1:14318\n"
    "  grpc_listen: \"\"\n"
    "  local_token_required: auto\n"
    "  max_request_mib: 64\n"
    "  spool: { path: auto, max_mib: 1024, max_age_hours: 336, min_free_disk_mib: 512 }\n"
    "destinations:\n"
    "  - name: central\n"
    "    endpoint: https://telemetry.example.com/\n"
    "    headers: { Authorization: \"Bearer ${device_token}\" }\n"
    "    signals: [metrics, logs, traces]\n"
    "  - name: span\n"
    "    endpoint: https://otel.span.app:443\n"
    "    headers: { X-Span-Token: \"${file:/etc/claude-telemetry/span-token}\" }\n"
    "    resource_attributes: { work_email: \"${email}\" }\n"
    "    signals: [metrics]\n"
    "  - name: activitylog\n"
    "    logs_endpoint: https://api.activitylog.com/api/v1/otlp/v1/logs\n"
    "    traces_endpoint: https://api.activitylog.com/api/v1/otlp/v1/traces\n"
    "    headers: { Authorization: \"Bearer ${file:/etc/claude-telemetry/activitylog-token}\" }\n"
    "    resource_attributes: { service.name: claude-code, user.name: \"${local_user}\" }\n"
    "    signals: [logs, traces]\n"
    "privacy: { drop_attributes: [prompt, response, tool_input] }\n";

START_TEST(the_documented_example_is_valid)
{
    struct agent_config *c = load(documented);
    ck_assert_msg(c != NULL, "%s", problems.count ? problems.items[0].cause : "no problem");
    const char *value;
    const struct config *v = c->values;
    ck_assert_str_eq(config_text(v, "identity.email"), "alice@example.com");
    ck_assert_str_eq(config_text(v, "relay.grpc_listen"), "");
    ck_assert_uint_eq(config_list_count(v, "privacy.drop_attributes"), 3);
    ck_assert_uint_eq(config_section_count(v, "destinations"), 3);

    const struct config *central = config_section_at(v, "destinations", 0);
    const struct config *span = config_section_at(v, "destinations", 1);
    const struct config *activitylog = config_section_at(v, "destinations", 2);
    expect_url(central, "logs", "https://telemetry.example.com/v1/logs");
    expect_url(span, "metrics", "https://otel.span.app:443/v1/metrics");
    expect_url(span, "logs", NULL);
    expect_url(activitylog, "logs", "https://api.activitylog.com/api/v1/otlp/v1/logs");
    expect_url(activitylog, "metrics", NULL);
    ck_assert_str_eq(config_map_at(activitylog, "resource_attributes", 0, &value), "service.name");
    ck_assert_str_eq(value, "claude-code");

    char *url = agent_server_url(v, "/api/v1/enroll");
    ck_assert_str_eq(url, "https://telemetry.example.com/api/v1/enroll");
    free(url);
    agent_config_destroy(c);
}
END_TEST

START_TEST(a_stand_alone_relay_needs_only_relay_and_destinations)
{
    struct agent_config *c = load("relay:\n  listen: 127.0.0.1:0\n"
                                  "destinations:\n- name: a\n  endpoint: http://127.0.0.1:9\n");
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_null(agent_server_url(c->values, "/x"));
    agent_config_destroy(c);
}
END_TEST

START_TEST(a_missing_file_means_defaults_unless_it_was_named)
{
    struct agent_config *c = agent_config_load(root, NULL, &fs_real, &problems);
    ck_assert_ptr_nonnull(c);
    ck_assert(!c->file_exists);
    ck_assert_str_eq(config_text(c->values, "relay.listen"), "127.0.0.1:14318");
    agent_config_destroy(c);

    ck_assert_ptr_null(agent_config_load(root, "/nonexistent/agent.yaml", &fs_real, &problems));
    ck_assert_ptr_nonnull(strstr(problems.items[0].cause, "/nonexistent/agent.yaml"));
    ck_assert_ptr_nonnull(strstr(problems.items[0].remedy, "--config"));
}
END_TEST

START_TEST(the_hash_follows_the_content)
{
    struct agent_config *a = load("relay:\n");
    struct agent_config *b = load("relay: \n");
    struct agent_config *again = load("relay:\n");
    ck_assert(a && b && again);
    ck_assert_uint_eq(strlen(a->hash), 64);
    ck_assert_str_ne(a->hash, b->hash);
    ck_assert_str_eq(a->hash, again->hash);
    agent_config_destroy(a);
    agent_config_destroy(b);
    agent_config_destroy(again);
}
END_TEST

static const struct {
    const char *text;
    const char *parts[3];
} broken[] = {
    {"destinations:\n- name: a\n", {"agent.yaml line 2", "destination 'a' has no 'endpoint'"}},
    {"destinations:\n- name: a\n  logs_endpoint: http://h/l\n  signals: [logs, traces]\n",
     {"agent.yaml line 4", "to take traces", "'traces_endpoint'"}},
    {"destinations:\n- {name: a, endpoint: 'http://h'}\n- {name: a, endpoint: 'http://i'}\n",
     {"agent.yaml line 3", "'destinations[1].name' is 'a'", "destinations[0]"}},
    {"destinations:\n- {name: A b, endpoint: 'http://h'}\n",
     {"line 2", "'destinations[].name'", "a-z 0-9"}},
    {"destinations:\n- name: a\n  endpoint: h:80\n", {"line 3", "destinations[].endpoint"}},
    {"destinations:\n- name: a\n  endpoint: http://h\n  headers: {'a b': c}\n",
     {"line 4", "invalid name 'a b'"}},
    {"destinations:\n- name: a\n  endpoint: http://h\n  headers: {a: \"b\\nc\"}\n",
     {"line 4", "line break"}},
    {"destinations:\n- name: a\n  endpoint: http://h\n  headers: {a: '${device_tokn}'}\n",
     {"line 4", "'${device_tokn}'", "'${device_token}'"}},
    {"claude: {mode: direct}\n", {"line 1", "'claude.mode'", "exactly one destination"}},
    {"claude: {mode: Relay}\n", {"line 1", "one of relay, direct"}},
    {"relay: {listen: '0.0.0.0:14318'}\n", {"line 1", "'relay.listen'", "loopback"}},
    {"relay: {grpc_listen: 'example.com:4317'}\n", {"'relay.grpc_listen'", "loopback"}},
    {"relay: {local_token_required: maybe}\n", {"one of auto, true, false"}},
    {"relay: {spool: {path: spool}}\n", {"'relay.spool.path'", "absolute path"}},
    {"relay: {spool: {max_mb: 1}}\n", {"'relay.spool.max_mb'", "'relay.spool.max_mib'"}},
    {"relay: {max_request_mib: 0}\n", {"'relay.max_request_mib'", "from 1 to 1024"}},
    {"identity: {email: alice}\n", {"'identity.email'", "an e-mail address"}},
    {"identity: {email_domain: '@example.com'}\n", {"'identity.email_domain'", "a domain"}},
    {"identity: {email_from: [ldap]}\n", {"'identity.email_from[0]'", "mdm, directory, command"}},
    {"heartbeat: {interval_seconds: 0}\n", {"'heartbeat.interval_seconds'", "from 1 to 86400"}},
    {"heartbeat: {intervall_seconds: 5}\n", {"'heartbeat.interval_seconds'"}},
    {"server: {url: 'ftp://h'}\n", {"'server.url'", "http:// or https://"}},
    {"server: {ca_file: corp.pem}\n", {"'server.ca_file'", "absolute path"}},
    {"privacy: {drop_attributes: prompt}\n", {"'privacy.drop_attributes' must be a list"}},
    {"claude: {log_user_prompts: 1}\n", {"'claude.log_user_prompts' must be true or false"}},
    {"claude: {resource_attributes: {who: '${email}'}}\n",
     {"line 1", "'claude.resource_attributes.who'", "person's variable"}},
    {"destination:\n- name: a\n", {"unknown key 'destination'", "'destinations'"}},
    {"relay:\n  listen: 127.0.0.1:1\nrelay:\n  grpc_listen: ''\n", {"line 3", "already on line 1"}},
};

START_TEST(a_broken_file_is_explained)
{
    ck_assert_msg(!load(broken[_i].text), "accepted: %s", broken[_i].text);
    ck_assert_uint_ge(problems.count, 1);
    for (size_t i = 0; i < 3 && broken[_i].parts[i]; i++)
        ck_assert_msg(strstr(problems.items[0].cause, broken[_i].parts[i]), "'%s' lacks \"%s\"",
                      problems.items[0].cause, broken[_i].parts[i]);
}
END_TEST

START_TEST(variables_may_stand_in_endpoints)
{
    struct agent_config *c =
        load("destinations:\n- {name: a, endpoint: 'https://${hostname}.example.com'}\n");
    ck_assert_ptr_nonnull(c);
    expect_url(config_section_at(c->values, "destinations", 0), "logs",
               "https://${hostname}.example.com/v1/logs");
    agent_config_destroy(c);
}
END_TEST

static const char profile[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>"
    "<key>UserEmail</key><string>$EMAIL</string>"
    "<key>relay</key><dict><key>max_request_mib</key><integer>7</integer></dict>"
    "<key>claude</key><dict><key>log_user_prompts</key><%s/>"
    "<key>signals</key><array><string>logs</string></array></dict>"
    "<key>server.url</key><string>{{url}}</string>"
    "<key>destinations</key><array><dict><key>name</key><string>m</string>"
    "<key>endpoint</key><string>http://h</string></dict></array></dict></plist>";

static void write_profile(const char *prompts)
{
    char *dir = xasprintf("%s/Library/Managed Preferences", root);
    char *file = xasprintf("%s/com.claude-telemetry.agent.plist", dir);
    char *text = xasprintf("%.*s%s%s", (int)(strstr(profile, "%s") - profile), profile, prompts,
                           strstr(profile, "%s") + 2);
    expect_ok(fs_make_dirs(&fs_real, dir, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, file, bytes_of(text), 0644, &err));
    free(text);
    free(file);
    free(dir);
}

START_TEST(a_macs_managed_preferences_win_over_the_file)
{
    char place[300];
    write_profile("true");
    struct agent_config *c = load("relay: {max_request_mib: 9, listen: '127.0.0.1:5'}\n"
                                  "server: {url: 'https://x.example'}\n");
    ck_assert_msg(c != NULL, "%s", problems.count ? problems.items[0].cause : "no problem");
    ck_assert_int_eq(config_integer(c->values, "relay.max_request_mib"), 7);
    ck_assert_str_eq(config_text(c->values, "relay.listen"), "127.0.0.1:5");
    ck_assert(config_bool(c->values, "claude.log_user_prompts"));
    ck_assert_uint_eq(config_list_count(c->values, "claude.signals"), 1);
    ck_assert_uint_eq(config_section_count(c->values, "destinations"), 1);
    ck_assert_str_eq(config_text(c->values, "server.url"), "https://x.example"); /* unresolved */
    ck_assert_ptr_nonnull(
        strstr(config_place(c->values, "relay.max_request_mib", place, sizeof place), "Managed"));
    agent_config_destroy(c);
}
END_TEST

START_TEST(a_broken_profile_is_named)
{
    write_profile("string>maybe</string><key>other</key><true");
    ck_assert_ptr_null(load(""));
    ck_assert_ptr_nonnull(strstr(problems.items[0].cause, "com.claude-telemetry.agent.plist"));
}
END_TEST

/* The registry as exported, where the agent looks for it below a root. */
static void write_registry(const char *recorded, const char *policy)
{
    char *file = xasprintf("%s/registry.reg", root);
    struct buffer text = {.max_bytes = MIB};
    if (recorded) {
        char *from = xasprintf("%s/registry/%s", TEST_DATA_DIR, recorded);
        expect_ok(fs_read_file(&fs_real, from, &text, &err));
        free(from);
    } else {
        ck_assert(buffer_append_format(&text,
                                       "Windows Registry Editor Version 5.00\r\n\r\n"
                                       "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\"
                                       "ClaudeTelemetry]\r\n%s\r\n",
                                       policy));
    }
    expect_ok(fs_replace_file(&fs_real, file, buffer_bytes(&text), 0600, &err));
    buffer_clear(&text);
    free(file);
}

START_TEST(a_windows_policy_wins_over_the_file)
{
    char place[300];
    const char *value;
    write_registry("policy.reg", NULL);
    struct agent_config *c = load("relay: {max_request_mib: 9, listen: '127.0.0.1:5'}\n"
                                  "heartbeat: {interval_seconds: 77}\n");
    ck_assert_msg(c != NULL, "%s", problems.count ? problems.items[0].cause : "no problem");
    const struct config *v = c->values;
    ck_assert_str_eq(config_text(v, "server.url"), "https://telemetry.example.com");
    ck_assert_str_eq(config_text(v, "relay.listen"), "127.0.0.1:15318");
    ck_assert_int_eq(config_integer(v, "relay.max_request_mib"), 7);
    ck_assert_int_eq(config_integer(v, "relay.spool.max_mib"), 2048);
    ck_assert_int_eq(config_integer(v, "heartbeat.interval_seconds"), 77); /* unresolved */
    ck_assert(config_bool(v, "claude.log_user_prompts"));
    ck_assert_uint_eq(config_list_count(v, "claude.signals"), 2);
    ck_assert(config_list_has(v, "claude.signals", "logs"));
    ck_assert_uint_eq(config_list_count(v, "identity.email_from"), 2);
    ck_assert_uint_eq(config_map_count(v, "claude.resource_attributes"), 2);
    ck_assert_uint_eq(config_list_count(v, "privacy.drop_attributes"), 3);
    ck_assert_str_eq(config_list_at(v, "privacy.drop_attributes", 2), "tool_input");
    ck_assert_uint_eq(config_section_count(v, "destinations"), 2);
    const struct config *central = config_section_at(v, "destinations", 0);
    ck_assert_str_eq(config_text(central, "name"), "central");
    ck_assert_str_eq(config_map_at(central, "headers", 0, &value), "Authorization");
    ck_assert_str_eq(value, "Bearer ${device_token}");
    ck_assert_ptr_nonnull(strstr(config_place(v, "relay.listen", place, sizeof place), "HKLM"));
    agent_config_destroy(c);
}
END_TEST

START_TEST(a_policy_changes_the_hash)
{
    char before[AGENT_CONFIG_HASH_BYTES];
    struct agent_config *c = load("");
    snprintf(before, sizeof before, "%s", c->hash);
    agent_config_destroy(c);
    write_registry(NULL, "\"claude.log_tool_details\"=dword:00000001");
    c = load("");
    ck_assert_str_ne(c->hash, before);
    agent_config_destroy(c);
}
END_TEST

static const struct {
    const char *policy, *words;
} broken_policies[] = {
    {"\"relay.lisen\"=\"127.0.0.1:1\"", "nearest valid key is 'relay.listen'"},
    {"\"Relay.max_request_mib\"=dword:00000000", "'relay.max_request_mib' must be from"},
    {"\"claude.log_user_prompts\"=dword:00000002", "must be true or false, not '2'"},
    {"\"claude.signals\"=\"metrics, lgos\"", "must be one of metrics, logs, traces"},
    {"\"relay.listen\"=hex:01", "binary data"},
    {"\"claude.resource_attributes\"=hex(7):61,00,00,00,00,00", "name=text"},
    {"\"destinations\"=\"[{]\"", "destinations"},
    {"\"destinations\"=\"x\"", "must be a list"},
    {"\"relay.listen\"=\"127.0.0.1:1\"\r\n"
     "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeTelemetry\\relay]\r\n"
     "\"listen\"=\"127.0.0.1:2\"",
     "there twice"},
    {"\"relay\"=\"x\"", "a group of keys"},
    {"nonsense", "line 4"},
};

START_TEST(a_broken_policy_is_explained)
{
    write_registry(NULL, broken_policies[_i].policy);
    ck_assert_ptr_null(load(""));
    ck_assert_uint_ge(problems.count, 1);
    ck_assert_msg(strstr(problems.items[0].cause, broken_policies[_i].words) != NULL, "%s",
                  problems.items[0].cause);
}
END_TEST

START_TEST(a_policy_may_hold_json)
{
    write_registry(NULL, "\"destinations\"=\"[{\\\"name\\\":\\\"central\\\",\\\"endpoint\\\":"
                         "\\\"https://x.example\\\"}]\"\r\n"
                         "\"claude.resource_attributes\"=hex(7):61,00,3d,00,62,00,00,00,00,00");
    struct agent_config *c = load("");
    ck_assert_msg(c != NULL, "%s", problems.count ? problems.items[0].cause : "no problem");
    ck_assert_uint_eq(config_section_count(c->values, "destinations"), 1);
    ck_assert_uint_eq(config_map_count(c->values, "claude.resource_attributes"), 1);
    agent_config_destroy(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent config");
    TCase *tests = tcase_create("agent config");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_documented_example_is_valid);
    tcase_add_test(tests, a_stand_alone_relay_needs_only_relay_and_destinations);
    tcase_add_test(tests, a_missing_file_means_defaults_unless_it_was_named);
    tcase_add_test(tests, the_hash_follows_the_content);
    tcase_add_loop_test(tests, a_broken_file_is_explained, 0, sizeof broken / sizeof *broken);
    tcase_add_test(tests, variables_may_stand_in_endpoints);
    tcase_add_test(tests, a_macs_managed_preferences_win_over_the_file);
    tcase_add_test(tests, a_broken_profile_is_named);
    tcase_add_test(tests, a_windows_policy_wins_over_the_file);
    tcase_add_test(tests, a_policy_changes_the_hash);
    tcase_add_loop_test(tests, a_broken_policy_is_explained, 0,
                        (int)(sizeof broken_policies / sizeof *broken_policies));
    tcase_add_test(tests, a_policy_may_hold_json);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
