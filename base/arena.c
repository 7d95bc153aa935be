#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *older;
    size_t size;
    size_t used;
    max_align_t data[];
};

static size_t aligned(size_t bytes)
{
    return (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static void *take(struct arena *arena, size_t bytes)
{
    if (bytes > arena->max_bytes || aligned(bytes) > arena->max_bytes - arena->used_bytes)
        return NULL;
    size_t need = aligned(bytes);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < need) {
        size_t size = need > BLOCK_BYTES ? need : BLOCK_BYTES;
        block = xmalloc(sizeof *block + size);
        *block = (struct arena_block){.older = arena->blocks, .size = size};
        arena->blocks = block;
    }
    uint8_t *at = (uint8_t *)block->data + block->used;
    block->used += need;
    arena->used_bytes += need;
    return at;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    void *at = take(arena, bytes ? bytes : 1);
    if (at)
        memset(at, 0, bytes);
    return at;
}

void *arena_alloc_many(struct arena *arena, size_t count, size_t bytes)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    return arena_alloc(arena, count * bytes);
}

bool arena_copy(struct arena *arena, struct bytes text, struct bytes *out)
{
    if (text.len == SIZE_MAX)
        return false;
    uint8_t *at = take(arena, text.len + 1);
    if (!at)
        return false;
    if (text.len)
        memcpy(at, text.data, text.len);
    at[text.len] = 0;
    *out = bytes_make(at, text.len);
    return true;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    if (kept && kept->size > BLOCK_BYTES)
        kept = NULL; /* an unusual request does not decide what is held for ever */
    for (struct arena_block *block = arena->blocks; block;) {
        struct arena_block *older = block->older;
        if (block != kept)
            free(block);
        block = older;
    }
    if (kept) {
        kept->older = NULL;
        kept->used = 0;
    }
    arena->blocks = kept;
    arena->used_bytes = 0;
}

void arena_clear(struct arena *arena)
{
    arena_reset(arena);
    free(arena->blocks);
    arena->blocks = NULL;
}
