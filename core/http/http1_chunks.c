#include "core/http/http1_chunks.h"

enum {
    SIZE,       /* hexadecimal digits */
    SIZE_SPACE, /* spaces, which only an extension may follow */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER,
    TRAILER_LF,
    LAST_LF,
    DONE,
    BAD,
};

enum { MAX_DIGITS = 15 }; /* more bytes than any limit of ours */

static bool is_control(uint8_t c)
{
    return (c < ' ' && c != '\t') || c == 0x7f;
}

static int after_size(uint8_t c, bool may_end)
{
    if (c == ';')
        return EXTENSION;
    if (c == ' ' || c == '\t')
        return SIZE_SPACE;
    return c == '\r' && may_end ? SIZE_LF : BAD;
}

static int on_size(struct http1_chunks *chunks, uint8_t c)
{
    int digit = bytes_hex_digit(c);
    if (digit < 0)
        return chunks->digits > 0 ? after_size(c, true) : BAD;
    if (++chunks->digits > MAX_DIGITS)
        return BAD;
    chunks->left = chunks->left * 16 + (uint64_t)digit;
    return SIZE;
}

/* The state after a byte that is not data. */
static int on_byte(struct http1_chunks *chunks, uint8_t c)
{
    switch (chunks->state) {
    case SIZE:
        return on_size(chunks, c);
    case SIZE_SPACE:
        chunks->overhead++;
        return after_size(c, false);
    case EXTENSION:
        chunks->overhead++;
        return c == '\r' ? SIZE_LF : is_control(c) ? BAD : EXTENSION;
    case SIZE_LF:
        if (c != '\n')
            return BAD;
        return chunks->left > 0 ? DATA : TRAILER_START;
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        chunks->digits = 0;
        return c == '\n' ? SIZE : BAD;
    case TRAILER_START:
        if (c == '\r')
            return LAST_LF;
        chunks->overhead++;
        return is_control(c) || c == ' ' || c == '\t' ? BAD : TRAILER;
    case TRAILER:
        chunks->overhead++;
        return c == '\r' ? TRAILER_LF : is_control(c) ? BAD : TRAILER;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_START : BAD;
    case LAST_LF:
        return c == '\n' ? DONE : BAD;
    default:
        return BAD;
    }
}

static enum http1_chunks_result take_data(struct http1_chunks *chunks, struct bytes *input,
                                          struct bytes *data)
{
    size_t len = input->len < chunks->left ? input->len : (size_t)chunks->left;
    *data = bytes_make(input->data, len);
    *input = bytes_make(input->data + len, input->len - len);
    chunks->left -= len;
    if (chunks->left == 0)
        chunks->state = DATA_CR;
    return HTTP1_CHUNKS_DATA;
}

enum http1_chunks_result http1_chunks_next(struct http1_chunks *chunks, struct bytes *input,
                                           struct bytes *data)
{
    while (chunks->state != DONE && chunks->state != BAD && input->len > 0) {
        if (chunks->state == DATA)
            return take_data(chunks, input, data);
        chunks->state = on_byte(chunks, input->data[0]);
        *input = bytes_make(input->data + 1, input->len - 1);
        if (chunks->overhead > HTTP1_CHUNKS_OVERHEAD_BYTES)
            chunks->state = BAD;
    }
    if (chunks->state == BAD)
        return HTTP1_CHUNKS_BAD;
    return chunks->state == DONE ? HTTP1_CHUNKS_DONE : HTTP1_CHUNKS_MORE;
}
