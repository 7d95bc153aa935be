#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/otlp/json.h"
#include "tests/server/captures.h"
#include "tests/support/expect.h"

static struct error err;
static struct captured captured;
static struct message_context context;

static void set_up(void)
{
    context = (struct message_context){.system_id = 1,
                                       .received_ns = 99000000,
                                       .max_body_bytes = MESSAGE_BODY_WHOLE};
    captured = (struct captured){0};
}

static void tear_down(void)
{
    captured_clear(&captured);
}

static void map_json(enum otlp_signal signal, const char *json)
{
    struct buffer request = {.max_bytes = MIB};
    expect_ok(otlp_json_to_protobuf(signal, bytes_of(json), &request, &err));
    captured_clear(&captured);
    captured_map(signal, buffer_bytes(&request), &context, &captured);
    buffer_clear(&request);
}

static cJSON *attributes_in(const cJSON *from)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, from)
    {
        cJSON *pair = cJSON_CreateObject(), *value = cJSON_AddObjectToObject(pair, "value");
        cJSON_AddStringToObject(pair, "key", item->string);
        if (cJSON_IsString(item))
            cJSON_AddStringToObject(value, "stringValue", item->valuestring);
        else if (cJSON_IsObject(item))
            cJSON_AddItemToObject(cJSON_AddObjectToObject(value, "kvlistValue"), "values",
                                  attributes_in(item));
        else if (cJSON_IsBool(item))
            cJSON_AddBoolToObject(value, "boolValue", cJSON_IsTrue(item));
        else if (item->valuedouble == (double)(int64_t)item->valuedouble)
            cJSON_AddNumberToObject(value, "intValue", item->valuedouble);
        else
            cJSON_AddNumberToObject(value, "doubleValue", item->valuedouble);
        cJSON_AddItemToArray(list, pair);
    }
    return list;
}

/* Attributes are written {"a":"text","b":1,"c":0.5,"d":true,"e":{"f":1}}. */
static cJSON *attributes_of(const char *text)
{
    cJSON *from = cJSON_Parse(text);
    ck_assert_msg(from != NULL, "not JSON: %s", text);
    cJSON *list = attributes_in(from);
    cJSON_Delete(from);
    return list;
}

/* Wraps one record into a request: `record` gets the attributes and becomes the caller's. */
static const struct message *map_one(enum otlp_signal signal, cJSON *record, const char *resource,
                                     const char *attributes)
{
    bool logs = signal == OTLP_LOGS;
    cJSON *request = cJSON_CreateObject();
    cJSON *outer = cJSON_AddArrayToObject(request, logs ? "resourceLogs" : "resourceSpans");
    cJSON *first = cJSON_CreateObject(), *scoped = cJSON_CreateObject();
    cJSON_AddItemToArray(outer, first);
    cJSON_AddItemToObject(cJSON_AddObjectToObject(first, "resource"), "attributes",
                          attributes_of(resource));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(first, logs ? "scopeLogs" : "scopeSpans"), scoped);
    cJSON_AddItemToObject(record, "attributes", attributes_of(attributes));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(scoped, logs ? "logRecords" : "spans"), record);
    char *text = cJSON_PrintUnformatted(request);
    map_json(signal, text);
    free(text);
    cJSON_Delete(request);
    ck_assert_uint_eq(captured.message_count, 1);
    return &captured.messages[0];
}

static const struct message *map_log(const char *body, const char *resource, const char *attributes)
{
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "timeUnixNano", "1795216470612000000");
    if (body)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(record, "body"), "stringValue", body);
    return map_one(OTLP_LOGS, record, resource, attributes);
}

static const struct message *map_span(const char *name, const char *resource,
                                      const char *attributes)
{
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "traceId", "0102030405060708090a0b0c0d0e0f10");
    cJSON_AddStringToObject(record, "spanId", "0102030405060708");
    cJSON_AddStringToObject(record, "name", name);
    cJSON_AddStringToObject(record, "startTimeUnixNano", "1795216470000000000");
    cJSON_AddStringToObject(record, "endTimeUnixNano", "1795216470250000000");
    return map_one(OTLP_TRACES, record, resource, attributes);
}

/* A key of the row's metadata; NULL when it has none. The last answer is forgotten. */
static const char *metadata(const struct message *m, const char *key)
{
    static char text[64 * 1024];
    cJSON *all = cJSON_ParseWithLength((const char *)m->metadata.data, m->metadata.len);
    ck_assert_msg(all != NULL, "metadata is not JSON: %.*s", (int)m->metadata.len,
                  (const char *)m->metadata.data);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(all, key);
    bool there = item != NULL;
    if (cJSON_IsString(item)) {
        snprintf(text, sizeof text, "%s", item->valuestring);
    } else if (there) {
        char *json = cJSON_PrintUnformatted(item);
        snprintf(text, sizeof text, "%s", json);
        free(json);
    }
    cJSON_Delete(all);
    return there ? text : NULL;
}

START_TEST(an_event_is_named_by_attribute_or_body_without_its_prefix)
{
    static const struct {
        const char *body, *attributes;
        enum message_type type;
        const char *name;
    } CASES[] = {
        {"claude_code.api_request", "{}", MESSAGE_GENERATION, "api_request"},
        {"claude_code.api_request", "{\"event.name\":\"api_request\"}", MESSAGE_GENERATION,
         "api_request"},
        {"x", "{\"event.name\":\"claude_code.tool_result\"}", MESSAGE_TOOL, "tool_result"},
        {"claude_code.tool_decision", "{}", MESSAGE_DECISION, "tool_decision"},
        {"claude_code.user_prompt", "{}", MESSAGE_PROMPT, "user_prompt"},
        {"claude_code.assistant_response", "{}", MESSAGE_RESPONSE, "assistant_response"},
        {"claude_code.api_error", "{}", MESSAGE_ERROR, "api_error"},
        {"claude_code.api_retries_exhausted", "{}", MESSAGE_ERROR, "api_retries_exhausted"},
        {"claude_code.api_refusal", "{}", MESSAGE_ERROR, "api_refusal"},
        {"claude_code.plugin_loaded", "{}", MESSAGE_EVENT, "plugin_loaded"},
        {"claude_code.subagent_completed", "{\"total_tokens\":5}", MESSAGE_EVENT,
         "subagent_completed"},
        {"something happened", "{}", MESSAGE_LOG, ""},
        {NULL, "{\"event.name\":\"codex.sse_event\",\"event.kind\":\"response.completed\"}",
         MESSAGE_GENERATION, "codex.sse_event"},
        {NULL, "{\"event.name\":\"codex.sse_event\",\"event.kind\":\"response.created\"}",
         MESSAGE_EVENT, "codex.sse_event"},
        {NULL, "{\"event.name\":\"codex.tool_result\"}", MESSAGE_TOOL, "codex.tool_result"},
        {NULL, "{\"event.name\":\"gemini_cli.api_response\"}", MESSAGE_GENERATION,
         "gemini_cli.api_response"},
        {NULL, "{\"event.name\":\"gemini_cli.config\"}", MESSAGE_EVENT, "gemini_cli.config"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct message *m =
            map_log(CASES[i].body,
                    i < 11 ? "{\"service.name\":\"claude-code\"}" : "{\"service.name\":\"x\"}",
                    CASES[i].attributes);
        ck_assert_msg(m->type == CASES[i].type, "case %zu is %s", i, message_type_name(m->type));
        expect_text(m->name, CASES[i].name);
    }
}
END_TEST

START_TEST(spans_are_told_apart_by_name_and_operation)
{
    static const struct {
        const char *name, *attributes;
        enum message_type type;
    } CASES[] = {
        {"claude_code.llm_request", "{}", MESSAGE_GENERATION},
        {"claude_code.tool", "{}", MESSAGE_TOOL},
        {"claude_code.interaction", "{\"gen_ai.operation.name\":\"invoke_agent\"}",
         MESSAGE_INTERACTION},
        {"claude_code.tool.execution", "{\"gen_ai.operation.name\":\"execute_tool\"}",
         MESSAGE_SPAN},
        {"chat gpt", "{\"gen_ai.operation.name\":\"chat\",\"gen_ai.usage.input_tokens\":1}",
         MESSAGE_GENERATION},
        {"llm", "{\"gen_ai.usage.output_tokens\":1}", MESSAGE_GENERATION},
        {"invoke_agent x",
         "{\"gen_ai.operation.name\":\"invoke_agent\",\"gen_ai.usage.input_tokens\":100}",
         MESSAGE_SPAN},
        {"execute_tool y", "{\"gen_ai.operation.name\":\"execute_tool\"}", MESSAGE_TOOL},
        {"GET /", "{}", MESSAGE_SPAN},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct message *m = map_span(CASES[i].name, "{}", CASES[i].attributes);
        ck_assert_msg(m->type == CASES[i].type, "%s is %s", CASES[i].name,
                      message_type_name(m->type));
        ck_assert_int_eq(m->duration_ms, 250);
        ck_assert_str_eq(metadata(m, "span.name"), CASES[i].name);
        if (m->type != MESSAGE_GENERATION)
            ck_assert_int_eq(m->input_tokens, MESSAGE_ABSENT); /* a sum of its children */
    }
}
END_TEST

START_TEST(numbers_count_as_int_double_or_text)
{
    static const char *const FORMS[] = {
        "{\"event.name\":\"api_request\",\"input_tokens\":120,\"output_tokens\":45,"
        "\"cache_read_tokens\":1000,\"cache_creation_tokens\":2500,\"cost_usd\":0.0014175,"
        "\"duration_ms\":99}",
        "{\"event.name\":\"api_request\",\"input_tokens\":\"120\",\"output_tokens\":\"45\","
        "\"cache_read_tokens\":\"1000\",\"cache_creation_tokens\":\"2500\","
        "\"cost_usd\":\"0.0014175\",\"duration_ms\":\"99\"}",
        "{\"event.name\":\"api_request\",\"input_tokens\":120,\"output_tokens\":45,"
        "\"cache_read_tokens\":\"1000\",\"cache_creation_tokens\":2500,\"cost_usd\":0.5,"
        "\"cost_usd_micros\":1418,\"duration_ms\":99.4}",
    };
    for (size_t i = 0; i < 3; i++) {
        const struct message *m = map_log(NULL, "{}", FORMS[i]);
        ck_assert_int_eq(m->input_tokens, 120);
        ck_assert_int_eq(m->output_tokens, 45);
        ck_assert_int_eq(m->cache_read_tokens, 1000);
        ck_assert_int_eq(m->cache_create_tokens, 2500);
        ck_assert_int_eq(m->cost_microcents, 1418);
        ck_assert_int_eq(m->duration_ms, 99);
        ck_assert_int_eq(m->success, MESSAGE_SUCCEEDED);
    }
    ck_assert_int_eq(message_microcents_of_usd(0), 0);
    ck_assert_int_eq(message_microcents_of_usd(0.0000005), 1);
    ck_assert_int_eq(message_microcents_of_usd(0.000000499), 0);
    ck_assert_int_eq(message_microcents_of_usd(-1), MESSAGE_ABSENT);
    ck_assert_int_eq(message_microcents_of_usd(1e300), MESSAGE_ABSENT);
    const struct message *m =
        map_log(NULL, "{}",
                "{\"event.name\":\"api_request\",\"input_tokens\":\"9223372036854775807\"}");
    ck_assert_int_eq(m->input_tokens, MESSAGE_ABSENT);
    ck_assert_int_eq(
        map_log(NULL, "{}", "{\"event.name\":\"api_request\",\"input_tokens\":-5}")->input_tokens,
        MESSAGE_ABSENT);
}
END_TEST

START_TEST(token_columns_never_overlap)
{
    const struct message *m =
        map_span("chat", "{}",
                 "{\"gen_ai.operation.name\":\"chat\",\"gen_ai.usage.input_tokens\":1000,"
                 "\"gen_ai.usage.cache_read.input_tokens\":600,"
                 "\"gen_ai.usage.cache_creation.input_tokens\":100,"
                 "\"gen_ai.usage.output_tokens\":50,\"gen_ai.response.model\":\"gpt\","
                 "\"gen_ai.request.model\":\"alias\"}");
    ck_assert_int_eq(m->input_tokens, 300);
    ck_assert_int_eq(m->cache_read_tokens, 600);
    ck_assert_int_eq(m->cache_create_tokens, 100);
    ck_assert_int_eq(m->output_tokens, 50);
    expect_text(m->model, "gpt");

    m = map_log(NULL, "{\"service.name\":\"codex_cli_rs\"}",
                "{\"event.name\":\"codex.sse_event\",\"event.kind\":\"response.completed\","
                "\"input_token_count\":\"500\",\"cached_token_count\":\"200\","
                "\"output_token_count\":\"30\",\"model\":\"gpt-5\",\"conversation.id\":\"c1\","
                "\"user.email\":\"Bob@Example.com\"}");
    ck_assert_int_eq(m->input_tokens, 300);
    ck_assert_int_eq(m->cache_read_tokens, 200);
    ck_assert_int_eq(m->output_tokens, 30);
    expect_text(m->session_id, "c1");
    expect_text(m->person, "bob@example.com");

    m = map_log(NULL, "{\"service.name\":\"gemini-cli\"}",
                "{\"event.name\":\"gemini_cli.api_response\",\"input_token_count\":100,"
                "\"cached_content_token_count\":40,\"output_token_count\":10,"
                "\"thoughts_token_count\":5,\"total_token_count\":115,\"duration_ms\":8}");
    ck_assert_int_eq(m->input_tokens, 60);
    ck_assert_int_eq(m->output_tokens, 15);

    m = map_span("claude_code.llm_request", "{}",
                 "{\"input_tokens\":10,\"cache_read_tokens\":600,\"output_tokens\":1}");
    ck_assert_int_eq(m->input_tokens, 10);
}
END_TEST

START_TEST(the_best_name_for_the_person_wins)
{
    static const struct {
        const char *resource, *record, *owner, *person;
        enum message_person_rank rank;
    } CASES[] = {
        {"{\"work_email\":\"Relay@X.org\"}", "{\"work_email\":\"other@x.org\"}", "o@x.org",
         "relay@x.org", PERSON_BY_STAMP},
        {"{}", "{\"work_email\":\" rec@x.org \",\"user.email\":\"u@x.org\"}", "", "rec@x.org",
         PERSON_BY_STAMP},
        {"{\"user.email\":\"res@x.org\"}", "{}", "o@x.org", "res@x.org", PERSON_BY_EMAIL},
        {"{}", "{\"enduser.id\":\"e@x.org\",\"user.name\":\"n\"}", "", "e@x.org", PERSON_BY_EMAIL},
        {"{}", "{\"enduser.id\":\"4711\",\"user.name\":\"Ann\"}", "O@x.org", "o@x.org",
         PERSON_BY_OWNER},
        {"{\"user.name\":\"Ann\"}", "{\"user.id\":\"abc\"}", "", "ann", PERSON_BY_NAME},
        {"{}", "{\"user.id\":\"abc\"}", "", "abc", PERSON_BY_ID},
        {"{\"work_email\":\"\"}", "{\"user.email\":\"  \"}", "", "", PERSON_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        context.owner = bytes_of(CASES[i].owner);
        const struct message *m = map_log("x", CASES[i].resource, CASES[i].record);
        expect_text(m->person, CASES[i].person);
        ck_assert_int_eq(m->person_rank, CASES[i].rank);
    }
}
END_TEST

START_TEST(metadata_is_flat_with_the_record_before_the_resource)
{
    const struct message *m =
        map_log("claude_code.api_request",
                "{\"service.name\":\"claude-code\",\"team\":\"res\",\"user.name\":\"alice\"}",
                "{\"event.name\":\"api_request\",\"team\":\"rec\",\"session.id\":\"s\","
                "\"n\":\"1\",\"i\":2,\"d\":0.25,\"b\":true}");
    ck_assert_str_eq(metadata(m, "team"), "rec");
    ck_assert_str_eq(metadata(m, "user.name"), "alice");
    ck_assert_str_eq(metadata(m, "service.name"), "claude-code");
    ck_assert_str_eq(metadata(m, "session.id"), "s");
    ck_assert_str_eq(metadata(m, "event.name"), "api_request");
    ck_assert_str_eq(metadata(m, "n"), "1");
    ck_assert_str_eq(metadata(m, "i"), "2");
    ck_assert_str_eq(metadata(m, "d"), "0.25");
    ck_assert_str_eq(metadata(m, "b"), "true");
    expect_text(m->service_name, "claude-code");
}
END_TEST

START_TEST(a_map_in_an_attribute_becomes_dotted_names)
{
    const struct message *m =
        map_log("x", "{\"host\":{\"name\":\"h\",\"cpu\":{\"count\":8}}}",
                "{\"a\":{\"b\":\"inner\",\"c\":{\"d\":1}},\"a.b\":\"own\",\"empty\":{}}");
    ck_assert_str_eq(metadata(m, "host.name"), "h");
    ck_assert_str_eq(metadata(m, "host.cpu.count"), "8");
    ck_assert_str_eq(metadata(m, "a.b"), "own");
    ck_assert_str_eq(metadata(m, "a.c.d"), "1");
    ck_assert_ptr_null(metadata(m, "a"));
    ck_assert_ptr_null(metadata(m, "a.c"));
    ck_assert_ptr_nonnull(metadata(m, "empty"));
}
END_TEST

START_TEST(content_goes_to_the_body_and_is_cut_by_plan)
{
    const struct message *m =
        map_log("claude_code.user_prompt", "{}",
                "{\"event.name\":\"user_prompt\",\"prompt\":\"hello\",\"prompt_text\":\"hello\"}");
    expect_text(m->body, "hello");
    ck_assert(!m->body_truncated);
    ck_assert_ptr_null(metadata(m, "prompt"));
    ck_assert_ptr_null(metadata(m, "prompt_text"));

    m = map_log("claude_code.assistant_response", "{}", "{\"response\":\"<REDACTED>\"}");
    expect_text(m->body, "<REDACTED>");
    m = map_log("claude_code.tool_result", "{}",
                "{\"tool_name\":\"Bash\",\"tool_input\":\"in\",\"tool_parameters\":\"par\"}");
    expect_text(m->body, "{\"tool_input\":\"in\",\"tool_parameters\":\"par\"}");
    m = map_log("plain text", "{}", "{\"prompt\":\"an attribute of somebody's\"}");
    expect_text(m->body, "plain text");
    ck_assert_ptr_nonnull(metadata(m, "prompt"));
    m = map_log("claude_code.api_request", "{}", "{}");
    expect_text(m->body, "");

    /* Every limit around a four-byte character. */
    for (size_t limit = 3; limit < 12; limit++) {
        context.max_body_bytes = limit;
        m = map_log("claude_code.user_prompt", "{}",
                    "{\"prompt\":\"ab\xf0\x9f\x98\x80"
                    "cd\"}");
        const char *want = limit < 6    ? "ab"
                           : limit == 6 ? "ab\xf0\x9f\x98\x80"
                           : limit == 7 ? "ab\xf0\x9f\x98\x80"
                                          "c"
                                        : "ab\xf0\x9f\x98\x80"
                                          "cd";
        expect_text(m->body, want);
        ck_assert(m->body_truncated == (limit < 8));
    }
}
END_TEST

START_TEST(bad_text_is_kept_and_shown_as_replacement)
{
    /* A log whose prompt is "a", a lone surrogate, NUL, "b" and whose key is bad too. */
    uint8_t record[256], request[300];
    size_t len = 0;
    const struct {
        const char *key;
        size_t key_len;
        const char *value;
        size_t value_len;
    } pairs[] = {{"prompt", 6, "a\xed\xa0\x80\0b", 6},
                 {"event.name", 10, "user_prompt", 11},
                 {"k\xff", 2, "v\0\xfe", 3}};
    for (size_t i = 0; i < 3; i++) {
        size_t value = pairs[i].value_len + 2, pair = pairs[i].key_len + 2 + value + 2;
        record[len++] = 0x32; /* attributes */
        record[len++] = (uint8_t)pair;
        record[len++] = 0x0a;
        record[len++] = (uint8_t)pairs[i].key_len;
        memcpy(record + len, pairs[i].key, pairs[i].key_len);
        len += pairs[i].key_len;
        record[len++] = 0x12;
        record[len++] = (uint8_t)value;
        record[len++] = 0x0a;
        record[len++] = (uint8_t)pairs[i].value_len;
        memcpy(record + len, pairs[i].value, pairs[i].value_len);
        len += pairs[i].value_len;
    }
    uint8_t head[] = {0x0a, (uint8_t)(len + 4), 0x12, (uint8_t)(len + 2), 0x12, (uint8_t)len};
    memcpy(request, head, sizeof head);
    memcpy(request + sizeof head, record, len);
    captured_map(OTLP_LOGS, bytes_make(request, sizeof head + len), &context, &captured);
    ck_assert_uint_eq(captured.message_count, 1);
    const struct message *m = &captured.messages[0];
    ck_assert_ptr_null(memchr(m->body.data, 0, m->body.len));
    ck_assert(m->body.len >= 8 && m->body.data[0] == 'a' && m->body.data[m->body.len - 1] == 'b');
    ck_assert_ptr_nonnull(strstr((const char *)m->body.data, "\xef\xbf\xbd"));
    ck_assert_ptr_nonnull(strstr((const char *)m->metadata.data, "\"k\xef\xbf\xbd\":\"v"));
    ck_assert_uint_eq(m->time_ns, context.received_ns); /* it had no time of its own */
}
END_TEST

START_TEST(a_large_attribute_is_bounded_in_metadata)
{
    char *attributes = malloc(200000);
    ck_assert_ptr_nonnull(attributes);
    strcpy(attributes, "{\"note\":\"");
    size_t at = strlen(attributes);
    memset(attributes + at, 'x', 100000);
    strcpy(attributes + at + 100000, "\"}");
    const struct message *m = map_log("x", "{}", attributes);
    ck_assert_uint_eq(strlen(metadata(m, "note")), MESSAGE_METADATA_VALUE_BYTES);
    free(attributes);
}
END_TEST

START_TEST(keys_tell_records_apart_and_repeats_not)
{
    static const char A[] = "{\"event.name\":\"user_prompt\",\"session.id\":\"s\","
                            "\"event.sequence\":3,\"x\":1}";
    static const char SAME[] = "{\"event.name\":\"user_prompt\",\"session.id\":\"s\","
                               "\"event.sequence\":\"3\",\"x\":1}";
    static const char NEXT[] = "{\"event.name\":\"user_prompt\",\"session.id\":\"s\","
                               "\"event.sequence\":4,\"x\":1}";
    uint8_t key[MESSAGE_KEY_BYTES];
    memcpy(key, map_log(NULL, "{}", A)->key, sizeof key);
    ck_assert_mem_eq(key, map_log(NULL, "{}", SAME)->key, sizeof key);
    ck_assert_mem_ne(key, map_log(NULL, "{}", NEXT)->key, sizeof key);
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | key[i];
    ck_assert_uint_eq(ms, UINT64_C(1795216470612));
    context.system_id = 2;
    ck_assert_mem_ne(key, map_log(NULL, "{}", A)->key, sizeof key);

    /* Without a natural id all of the record is its key. */
    memcpy(key, map_log("text", "{}", "{\"a\":1}")->key, sizeof key);
    ck_assert_mem_eq(key, map_log("text", "{}", "{\"a\":1}")->key, sizeof key);
    ck_assert_mem_ne(key, map_log("text", "{}", "{\"a\":2}")->key, sizeof key);
    ck_assert_mem_ne(key, map_log("text", "{\"host.name\":\"h\"}", "{\"a\":1}")->key, sizeof key);
}
END_TEST

START_TEST(request_and_tool_ids_join_and_name_the_parent)
{
    struct message event = *map_log("claude_code.api_request", "{}", "{\"request_id\":\"req_1\"}");
    uint64_t span =
        map_span("claude_code.llm_request", "{}", "{\"gen_ai.response.id\":\"req_1\"}")->join_hash;
    ck_assert_uint_ne(span, 0);
    ck_assert_uint_eq(event.join_hash, span);
    ck_assert(!event.join_weak);
    const struct message *tool = map_log("claude_code.tool_result", "{}",
                                         "{\"request_id\":\"req_1\",\"tool_use_id\":\"t1\"}");
    ck_assert_uint_eq(tool->parent_join_hash, span);
    uint64_t tool_join = tool->join_hash;
    ck_assert_uint_ne(tool_join, span);
    ck_assert_uint_eq(map_span("claude_code.tool", "{}", "{\"tool_use_id\":\"t1\"}")->join_hash,
                      tool_join);
    const struct message *failed = map_log("claude_code.api_error", "{}", "{}");
    ck_assert_int_eq(failed->success, MESSAGE_FAILED);
    ck_assert_uint_eq(failed->join_hash, 0);
}
END_TEST

START_TEST(a_heartbeat_is_a_row_of_its_own)
{
    struct arena arena = {.max_bytes = MIB};
    struct message first, second;
    context.owner = bytes_of("Alice@X.org");
    struct message_agent_report report = {.type = MESSAGE_HEARTBEAT,
                                          .device_id = bytes_of("7"),
                                          .natural_id = bytes_of("uid/1"),
                                          .time_ns = 5000000,
                                          .success = MESSAGE_SUCCEEDED,
                                          .metadata = bytes_of("{\"device.id\":\"7\"}"),
                                          .body = bytes_of("{\"health\":1}")};
    ck_assert(message_from_agent(&report, &context, &arena, &first));
    expect_text(first.person, "alice@x.org");
    expect_text(first.body, "{\"health\":1}");
    report.natural_id = bytes_of("uid/2");
    ck_assert(message_from_agent(&report, &context, &arena, &second));
    ck_assert_mem_ne(first.key, second.key, sizeof first.key);
    arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mapping");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_event_is_named_by_attribute_or_body_without_its_prefix);
    tcase_add_test(tests, spans_are_told_apart_by_name_and_operation);
    tcase_add_test(tests, numbers_count_as_int_double_or_text);
    tcase_add_test(tests, token_columns_never_overlap);
    tcase_add_test(tests, the_best_name_for_the_person_wins);
    tcase_add_test(tests, metadata_is_flat_with_the_record_before_the_resource);
    tcase_add_test(tests, a_map_in_an_attribute_becomes_dotted_names);
    tcase_add_test(tests, content_goes_to_the_body_and_is_cut_by_plan);
    tcase_add_test(tests, bad_text_is_kept_and_shown_as_replacement);
    tcase_add_test(tests, a_large_attribute_is_bounded_in_metadata);
    tcase_add_test(tests, keys_tell_records_apart_and_repeats_not);
    tcase_add_test(tests, request_and_tool_ids_join_and_name_the_parent);
    tcase_add_test(tests, a_heartbeat_is_a_row_of_its_own);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
