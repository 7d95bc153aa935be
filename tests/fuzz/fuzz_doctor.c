/* What the doctor judges and hides comes from files and environments that anybody may have written. */
#include <stdlib.h>

#include "base/memory.h"
#include "doctor/format.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * KIB)
        return 0;
    char *text = xstrndup((const char *)data, size);
    judge(text);
    free(text);
    hide(bytes_make(data, size));
    return 0;
}
