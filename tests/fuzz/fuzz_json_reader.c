/* Any text is read to its end or refused; what is accepted decodes to clean UTF-8. */
#include <stdlib.h>

#include "core/json/reader.h"
#include "core/json/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void check_string(struct bytes span)
{
    struct buffer text = {.max_bytes = 2 * span.len + 8};
    must(json_string_decode(span, &text));
    for (size_t at = 0; at < text.len;) {
        bool valid;
        at += utf8_step(bytes_make(text.data + at, text.len - at), &valid);
        must(valid);
    }
    const char *plain = buffer_text(&text);
    if (plain && strlen(plain) == text.len)
        must(json_string_equals(span, plain));
    buffer_clear(&text);
}

static void check_number(struct bytes span)
{
    int64_t integer;
    uint64_t natural;
    double number;
    bool fits = json_double(span, &number);
    if (json_int64(span, &integer))
        must(fits && number == (double)integer);
    if (json_uint64(span, &natural))
        must(fits && number == (double)natural);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_reader r = json_reader_make(bytes_make(data, size));
    struct error err;
    int depth = 0;
    for (;;) {
        size_t before = r.at;
        enum json_token token = json_next(&r);
        if (token == JSON_ERROR) {
            must(!json_fail(&r, &err) && r.problem && r.token_offset <= size);
            break;
        }
        if (token == JSON_END) {
            must(depth == 0 && r.at == size);
            break;
        }
        must(r.at > before && r.at <= size);
        depth += token == JSON_OBJECT_OPEN || token == JSON_ARRAY_OPEN;
        depth -= token == JSON_OBJECT_CLOSE || token == JSON_ARRAY_CLOSE;
        must(depth >= 0 && depth <= JSON_MAX_DEPTH && r.depth == (unsigned)depth);
        if (token == JSON_STRING || token == JSON_KEY)
            check_string(r.span);
        if (token == JSON_NUMBER)
            check_number(r.span);
    }
    /* Skipping the document agrees with reading it. */
    bool accepted = r.problem == NULL;
    r = json_reader_make(bytes_make(data, size));
    must((json_skip_value(&r) && json_next(&r) == JSON_END) == accepted);
    return 0;
}
