#include "agent/relay/tracker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void tracker_clear(struct tracker *t)
{
    free(t->ring);
    *t = (struct tracker){0};
}

static struct tracked *at(struct tracker *t, size_t i)
{
    return &t->ring[(t->head + i) % t->capacity];
}

static void grow(struct tracker *t)
{
    size_t capacity = t->capacity ? t->capacity * 2 : 64;
    struct tracked *ring = xcalloc(capacity, sizeof *ring);
    for (size_t i = 0; i < t->count; i++)
        ring[i] = *at(t, i);
    free(t->ring);
    t->ring = ring;
    t->head = 0;
    t->capacity = capacity;
}

void tracker_add(struct tracker *t, uint64_t sequence, uint32_t parts)
{
    assert(t->count == 0 || at(t, t->count - 1)->sequence < sequence);
    if (t->count == t->capacity)
        grow(t);
    t->count++;
    *at(t, t->count - 1) = (struct tracked){.sequence = sequence, .open_parts = parts};
}

static struct tracked *find(struct tracker *t, uint64_t sequence)
{
    size_t low = 0;
    size_t high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at(t, middle)->sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < t->count && at(t, low)->sequence == sequence);
    return at(t, low);
}

void tracker_divide(struct tracker *t, uint64_t sequence)
{
    find(t, sequence)->open_parts++;
}

void tracker_finish(struct tracker *t, uint64_t sequence)
{
    struct tracked *record = find(t, sequence);
    assert(record->open_parts > 0);
    record->open_parts--;
}

bool tracker_advance(struct tracker *t, uint64_t *position)
{
    bool moved = false;
    while (t->count > 0 && at(t, 0)->open_parts == 0) {
        *position = at(t, 0)->sequence;
        moved = true;
        t->head = (t->head + 1) % t->capacity;
        t->count--;
    }
    return moved;
}
