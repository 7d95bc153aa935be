#include <string.h>

#include "core/crypto/crypto.h"
#include "server/message/draft.h"

static void append(struct part_hash *h, const void *data, size_t len)
{
    if (h->ok && !buffer_append(h->into, bytes_make(data, len)))
        h->ok = false;
}

void part_hash_number(struct part_hash *h, uint64_t part)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(part >> (56 - 8 * i));
    append(h, bytes, sizeof bytes);
}

void part_hash_text(struct part_hash *h, struct bytes part)
{
    part_hash_number(h, part.len);
    append(h, part.data, part.len);
}

struct part_hash part_hash_start(struct draft *d, const char *kind)
{
    buffer_reset(&d->scratch);
    struct part_hash h = {.into = &d->scratch, .ok = true};
    part_hash_text(&h, bytes_of(kind));
    part_hash_number(&h, (uint64_t)d->context->system_id);
    return h;
}

void part_hash_end(struct draft *d, struct part_hash *h, uint8_t out[32])
{
    memset(out, 0, 32);
    if (!h->ok)
        d->full = true;
    else
        crypto_sha256(buffer_bytes(h->into), out);
    buffer_reset(&d->scratch);
}

void key_make(uint64_t time_ns, const uint8_t hash[32], uint8_t out[MESSAGE_KEY_BYTES])
{
    uint64_t ms = time_ns / 1000000;
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(out + 6, hash, MESSAGE_KEY_BYTES - 6);
}

uint64_t join_of_hash(const uint8_t hash[32])
{
    uint64_t join = 0;
    for (int i = 0; i < 8; i++)
        join = join << 8 | hash[i];
    return join ? join : 1;
}
