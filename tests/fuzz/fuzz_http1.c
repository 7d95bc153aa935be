/*
 * The readers of HTTP/1: a head, then a chunked body. However the bytes are
 * cut on their way, what comes out must be the same.
 */
#include <stdlib.h>

#include "core/http/http1_chunks.h"
#include "core/http/http1_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_within(struct bytes part, struct bytes whole)
{
    return part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

/* Scans in steps; returns the result and where the head ended. */
static enum http1_scan_result scan(struct bytes input, size_t step, struct http1_scan *out)
{
    *out = (struct http1_scan){0};
    enum http1_scan_result result = HTTP1_SCAN_MORE;
    for (size_t len = step; result == HTTP1_SCAN_MORE && len < input.len; len += step)
        result = http1_scan(out, bytes_make(input.data, len));
    return result == HTTP1_SCAN_MORE ? http1_scan(out, input) : result;
}

static size_t read_head(struct bytes input)
{
    struct http1_scan whole, cut;
    enum http1_scan_result result = scan(input, input.len + 1, &whole);
    enum http1_scan_result again = scan(input, 1, &cut);
    if (result == HTTP1_SCAN_DONE && again == HTTP1_SCAN_DONE)
        must(cut.at == whole.at && cut.start == whole.start);
    if (result != HTTP1_SCAN_DONE)
        return 0;

    struct http1_head head;
    const char *reason = NULL;
    struct bytes text = bytes_make(input.data + whole.start, whole.at - whole.start);
    int status = http1_head_parse(text, &head, &reason);
    /* Byte by byte, a hopeless start is refused before the end is seen; never a good one. */
    must(again == HTTP1_SCAN_DONE || status == 400);
    must(status == 0 || (status >= 400 && status < 600 && reason));
    for (size_t i = 0; i < head.header_count; i++) {
        must(is_within(head.headers[i].name, text) && is_within(head.headers[i].value, text));
        must(head.headers[i].name.len > 0);
        must(!head.headers[i].value.len ||
             !memchr(head.headers[i].value.data, '\n', head.headers[i].value.len));
    }
    must(status != 0 || !(head.is_chunked && head.has_length));
    return whole.at;
}

/* The sum of a body's bytes, and what was left of the input. */
static enum http1_chunks_result read_chunks(struct bytes input, size_t step, uint64_t *sum,
                                            size_t *used)
{
    struct http1_chunks chunks = {0};
    enum http1_chunks_result result = HTTP1_CHUNKS_MORE;
    *sum = 0;
    *used = 0;
    while (*used < input.len && result == HTTP1_CHUNKS_MORE) {
        size_t len = input.len - *used < step ? input.len - *used : step;
        struct bytes part = bytes_make(input.data + *used, len), data;
        while ((result = http1_chunks_next(&chunks, &part, &data)) == HTTP1_CHUNKS_DATA)
            for (size_t i = 0; i < data.len; i++)
                *sum = *sum * 31 + data.data[i];
        *used += len - part.len;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_make(data, size);
    size_t head = read_head(input);
    input = bytes_make(data + head, size - head);

    uint64_t sum, cut_sum;
    size_t used, cut_used;
    enum http1_chunks_result result = read_chunks(input, input.len + 1, &sum, &used);
    must(read_chunks(input, 1, &cut_sum, &cut_used) == result);
    must(sum == cut_sum && used == cut_used);
    return 0;
}
