#include "core/otlp/splice.h"

#include <assert.h>

#include "core/otlp/wire.h"

void splice_begin(struct splice *s, struct bytes input, struct buffer *out)
{
    static const uint8_t nothing[1]; /* arithmetic on NULL is undefined */
    if (!input.data)
        input = bytes_make(nothing, 0);
    *s = (struct splice){.out = out, .input = input, .copied = input.data};
}

static void append(struct splice *s, struct bytes more)
{
    if (!s->full && !buffer_append(s->out, more))
        s->full = true;
}

/* Copies up to `to`. All messages entered are about to change: from here on it is known where
 * their lengths stand in the output. */
static void copy_up_to(struct splice *s, const uint8_t *to)
{
    for (; s->changed < s->depth; s->changed++) {
        struct splice_frame *frame = &s->frames[s->changed];
        frame->out_length_at = s->out->len + (size_t)(frame->length_at - s->copied);
    }
    if (to > s->copied) {
        append(s, bytes_make(s->copied, (size_t)(to - s->copied)));
        s->copied = to;
    }
}

void splice_enter(struct splice *s, const uint8_t *field, struct bytes body)
{
    assert(s->depth < SPLICE_MAX_DEPTH);
    const uint8_t *length_at = field; /* behind the tag */
    while (*length_at++ & 0x80)
        ;
    s->frames[s->depth++] = (struct splice_frame){.length_at = length_at,
                                                  .body = body.data,
                                                  .end = body.data + body.len};
}

/* Lengths seldom change their own size, so what follows seldom moves. */
static void correct_length(struct splice *s, const struct splice_frame *frame)
{
    size_t old_size = (size_t)(frame->body - frame->length_at);
    size_t out_body = frame->out_length_at + old_size;
    size_t len = s->out->len - out_body;
    size_t size = wire_varint_len(len);
    if (size > old_size && !buffer_reserve(s->out, size - old_size)) {
        s->full = true;
        return;
    }
    uint8_t *at = s->out->data + frame->out_length_at;
    if (size != old_size) {
        memmove(at + size, at + old_size, len);
        s->out->len = frame->out_length_at + size + len;
    }
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(len >> (7 * i) | (i + 1 < size ? 0x80 : 0));
}

void splice_leave(struct splice *s)
{
    const struct splice_frame *frame = &s->frames[--s->depth];
    if (s->changed <= s->depth)
        return;
    copy_up_to(s, frame->end);
    s->changed = s->depth;
    if (!s->full)
        correct_length(s, frame);
}

void splice_cut(struct splice *s, const uint8_t *from, const uint8_t *to)
{
    copy_up_to(s, from);
    s->copied = to;
}

void splice_insert(struct splice *s, const uint8_t *at, struct bytes more)
{
    copy_up_to(s, at);
    append(s, more);
}

bool splice_end(struct splice *s)
{
    copy_up_to(s, s->input.data + s->input.len);
    return !s->full;
}
