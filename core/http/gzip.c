/* gzip by zlib. core/http/client.h has the contract. */
#include <zlib.h>

#include "core/http/client.h"

enum { GZIP_FRAMING = 16, MEMORY_LEVEL = 8 };

/* zlib counts in unsigned int; larger runs go in several steps. */
static uInt chunk_of(size_t len)
{
    return len > 1u << 30 ? 1u << 30 : (uInt)len;
}

bool http_gzip(struct bytes plain, int level, struct buffer *out)
{
    size_t start = out->len;
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, MAX_WBITS + GZIP_FRAMING, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;

    z.next_in = (Bytef *)plain.data;
    size_t left = plain.len;
    int state = Z_OK;
    while (state != Z_STREAM_END) {
        if (out->len == out->capacity && !buffer_reserve(out, 1))
            break;
        size_t room = out->capacity - out->len;
        if (room > out->max_bytes - out->len)
            room = out->max_bytes - out->len;
        if (room == 0)
            break;
        z.avail_in = chunk_of(left);
        z.next_out = out->data + out->len;
        z.avail_out = chunk_of(room);
        uInt in = z.avail_in, space = z.avail_out;
        state = deflate(&z, left == z.avail_in ? Z_FINISH : Z_NO_FLUSH);
        left -= in - z.avail_in;
        out->len += space - z.avail_out;
        if (state == Z_STREAM_ERROR)
            break;
    }
    deflateEnd(&z);
    if (state == Z_STREAM_END)
        return true;
    out->len = start;
    return false;
}

/* One call of inflate() with as much room as the ceiling leaves; past it, one byte to see whether
 * more would come. */
static int inflate_some(z_stream *z, size_t *left, struct buffer *out, bool *overflowed)
{
    Bytef spill;
    bool full = out->len >= out->max_bytes;
    size_t room = 1;
    z->next_out = &spill; // cppcheck-suppress autoVariables ; set anew by every call
    if (!full) {
        if (out->len == out->capacity && !buffer_reserve(out, 1))
            return Z_MEM_ERROR;
        room = (out->capacity < out->max_bytes ? out->capacity : out->max_bytes) - out->len;
        z->next_out = out->data + out->len;
    }
    z->avail_in = chunk_of(*left);
    z->avail_out = chunk_of(room);
    uInt in = z->avail_in, space = z->avail_out;
    int state = inflate(z, Z_NO_FLUSH);
    *left -= in - z->avail_in;
    if (!full)
        out->len += space - z->avail_out;
    else
        *overflowed = z->avail_out == 0;
    return state;
}

bool http_gunzip(struct bytes packed, struct buffer *out, struct error *err)
{
    size_t start = out->len;
    z_stream z = {0};
    if (inflateInit2(&z, MAX_WBITS + GZIP_FRAMING) != Z_OK)
        return error_set(err, FAIL_IO, "cannot start zlib");

    z.next_in = (Bytef *)packed.data;
    size_t left = packed.len;
    bool overflowed = false, whole = false;
    for (;;) {
        int state = inflate_some(&z, &left, out, &overflowed);
        if (overflowed)
            break;
        if (state == Z_STREAM_END) {
            whole = left == 0;
            if (whole || inflateReset(&z) != Z_OK) /* a gzip file may hold several members */
                break;
        } else if (state != Z_OK) {
            break; /* damaged, or more input needed than there is */
        }
    }
    inflateEnd(&z);
    if (whole)
        return true;
    out->len = start;
    if (overflowed)
        return error_set(err, FAIL_TOO_LARGE, "the body inflates to more than %zu bytes",
                         out->max_bytes);
    return error_set(err, FAIL_CORRUPT, "the gzip body is damaged or cut off");
}
