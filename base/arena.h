/*
 * Memory for many small things that end together: one request's rows, one
 * answer's texts. Bump allocation with a ceiling named where it is made:
 *     struct arena arena = {.max_bytes = 64 * MIB};
 * All-zero is a valid empty arena that can hold nothing. Used from one thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used_bytes;          /* of all blocks, what the ceiling counts */
    size_t max_bytes;
};

/* Zeroed, aligned for any type. NULL when max_bytes would be passed. */
MUST_USE void *arena_alloc(struct arena *arena, size_t bytes);

/* As arena_alloc for count items of `bytes` each. */
MUST_USE void *arena_alloc_many(struct arena *arena, size_t count, size_t bytes);

/* Copies `text`; the copy is followed by a NUL not counted in len. False past the ceiling. */
MUST_USE bool arena_copy(struct arena *arena, struct bytes text, struct bytes *out);

void arena_reset(struct arena *arena); /* forgets everything, keeps one block */
void arena_clear(struct arena *arena); /* frees; max_bytes kept */

#endif
