#include "core/http/grpc.h"

bool grpc_is_content_type(struct bytes type)
{
    static const char name[] = "application/grpc";
    size_t len = sizeof name - 1;
    if (type.len < len || !bytes_equal_ignoring_case(bytes_make(type.data, len), name))
        return false;
    return type.len == len || type.data[len] == '+' || type.data[len] == ';';
}

bool grpc_read_frame(struct bytes body, bool *is_packed)
{
    if (body.len < GRPC_FRAME_BYTES || body.data[0] > 1)
        return false;
    size_t len = (size_t)body.data[1] << 24 | (size_t)body.data[2] << 16 |
                 (size_t)body.data[3] << 8 | body.data[4];
    *is_packed = body.data[0] == 1;
    return len == body.len - GRPC_FRAME_BYTES;
}

void grpc_write_frame(uint8_t out[GRPC_FRAME_BYTES], size_t message_len)
{
    out[0] = 0;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(message_len >> (24 - 8 * i));
}

bool grpc_encode_message(const char *text, struct buffer *out)
{
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        bool plain = c >= ' ' && c <= '~' && c != '%';
        if (!(plain ? buffer_append_byte(out, c) : buffer_append_format(out, "%%%02X", c)))
            return false;
    }
    return true;
}
