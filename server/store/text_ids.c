#include "server/store/text_ids.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/memory.h"

struct entry {
    struct bytes text;
    int64_t id;
    bool used;
};

struct text_ids {
    struct entry *slots;
    size_t slot_count; /* a power of two, twice max_count or more */
    size_t count, max_count;
    struct arena texts;
};

struct text_ids *text_ids_create(size_t max_count)
{
    struct text_ids *ids = xcalloc(1, sizeof *ids);
    ids->max_count = max_count;
    ids->slot_count = 1;
    while (ids->slot_count < max_count * 2)
        ids->slot_count *= 2;
    ids->slots = xcalloc(ids->slot_count, sizeof *ids->slots);
    ids->texts.max_bytes = max_count * 128;
    return ids;
}

void text_ids_destroy(struct text_ids *ids)
{
    if (!ids)
        return;
    arena_clear(&ids->texts);
    free(ids->slots);
    free(ids);
}

static struct entry *slot_of(const struct text_ids *ids, struct bytes text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ text.data[i]) * UINT64_C(1099511628211);
    size_t at = (size_t)(hash ^ hash >> 29) & (ids->slot_count - 1);
    while (ids->slots[at].used && !bytes_equal(ids->slots[at].text, text))
        at = (at + 1) & (ids->slot_count - 1);
    return &ids->slots[at];
}

bool text_ids_find(const struct text_ids *ids, struct bytes text, int64_t *id)
{
    const struct entry *entry = slot_of(ids, text);
    *id = entry->id;
    return entry->used;
}

void text_ids_put(struct text_ids *ids, struct bytes text, int64_t id)
{
    struct bytes copy;
    if (ids->count == ids->max_count)
        text_ids_forget(ids);
    if (!arena_copy(&ids->texts, text, &copy)) {
        text_ids_forget(ids);
        if (!arena_copy(&ids->texts, text, &copy))
            return;
    }
    struct entry *entry = slot_of(ids, copy);
    if (!entry->used)
        ids->count++;
    *entry = (struct entry){.text = copy, .id = id, .used = true};
}

void text_ids_forget(struct text_ids *ids)
{
    for (size_t i = 0; i < ids->slot_count; i++)
        ids->slots[i] = (struct entry){0};
    ids->count = 0;
    arena_reset(&ids->texts);
}
