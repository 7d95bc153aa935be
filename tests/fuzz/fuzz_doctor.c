/* What the doctor judges and hides comes from files and environments that anybody may have written. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/format.h"
#include "doctor/helper.h"
#include "doctor/probe_answer.h"
#include "doctor/proxies.h"
#include "doctor/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const char *text)
{
    static const char *const signals[] = {NULL, "logs"};
    static const char *const protocols[] = {NULL, "grpc", "http/protobuf"};
    struct format_verdict v = format_headers(text);
    v = format_attributes(text, true);
    v = format_protocol(text);
    v = format_exporter(text, true);
    v = format_number(text, 1, "lost");
    for (size_t s = 0; s < 2; s++)
        for (size_t p = 0; p < 3; p++)
            v = format_endpoint(text, signals[s], protocols[p]);
    (void)v;
    (void)format_variable_meant(text);
    (void)format_is_telemetry_variable(text);
}

static void hide(struct bytes text)
{
    struct secrets secrets = {0};
    struct buffer out = {.max_bytes = 8 * text.len + 64};
    secrets_add(&secrets, "Bearer planted-secret");
    for (int i = 0; i < 4; i++) {
        struct redact_options options = {&secrets, i & 1, (i & 2) != 0};
        buffer_reset(&out);
        if (!redact(text, &options, &out))
            abort(); /* what is put in never is that much longer */
        if (out.len >= 14 && memmem(out.data, out.len, "planted-secret", 14))
            abort();
    }
    secrets_clear(&secrets);
    buffer_clear(&out);
}

static void ask_helper(struct bytes printed)
{
    struct helper_answer answer = {0};
    helper_judge(printed, &answer);
    for (size_t i = 0; i < answer.count; i++)
        if (strpbrk(answer.lines[i], "\r\n")) /* no answer may add a header of its own */
            abort();
    helper_answer_clear(&answer);
}

static const char *get_variable(const void *context, const char *name)
{
    return strcmp(name, "no_proxy") == 0 || strcmp(name, "https_proxy") == 0 ? context : NULL;
}

static void ask_proxies(const char *text)
{
    (void)proxies_variable(text, PROXIES_OF_CURL, get_variable, text);
    (void)proxies_variable("https://a.example:443/v1/logs", PROXIES_OF_CLAUDE_CODE, get_variable,
                           text);
}

/* A receiver's answer: its first byte chooses the status, the rest is headers and body. */
static void answer(struct bytes said)
{
    static const int statuses[] = {200, 204, 302, 400, 401, 404, 429, 503};
    static const char *const lines[] = {"Content-Type: application/x-protobuf", NULL};
    struct http_certificate certificate = {0};
    for (int grpc = 0; grpc < 2 && said.len > 0; grpc++) {
        const struct http_result result = {.stage = HTTP_STAGE_DONE,
                                           .status = statuses[said.data[0] % 8],
                                           .headers = bytes_make(said.data + 1, said.len - 1),
                                           .body = bytes_make(said.data + 1, said.len - 1),
                                           .error = ""};
        const struct probe_call call = {.url = "http://127.0.0.1:4318/v1/logs",
                                        .headers = lines,
                                        .proxy = "",
                                        .is_grpc = grpc == 1};
        struct probe out = {0};
        probe_judge(&call, &result, &certificate, &out);
        if (out.broken != PROBE_DONE && !out.fix[0])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * KIB)
        return 0;
    char *text = xstrndup((const char *)data, size);
    judge(text);
    ask_proxies(text);
    free(text);
    ask_helper(bytes_make(data, size));
    answer(bytes_make(data, size));
    hide(bytes_make(data, size));
    return 0;
}
