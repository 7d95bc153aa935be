#include "server/query/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void table_init(struct table *table, size_t group_count, size_t metric_count, size_t max_bytes)
{
    *table = (struct table){.group_count = group_count,
                            .metric_count = metric_count,
                            .arena = {.max_bytes = max_bytes}};
}

void table_clear(struct table *table)
{
    arena_clear(&table->arena);
    free(table->rows);
    table->rows = NULL;
    table->count = table->capacity = 0;
}

/* NULL groups stay apart from empty ones: the field is absent. */
static bool copy_groups(struct table *t, const struct bytes *groups, struct bytes **out)
{
    *out = arena_alloc_many(&t->arena, t->group_count + 1, sizeof **out);
    for (size_t i = 0; *out && i < t->group_count; i++) {
        (*out)[i] = groups[i];
        if (groups[i].data && !arena_copy(&t->arena, groups[i], &(*out)[i]))
            return false;
    }
    return *out != NULL;
}

static void *copy_array(struct table *t, const void *from, size_t size)
{
    void *copy = arena_alloc_many(&t->arena, t->metric_count, size);
    if (copy)
        memcpy(copy, from, t->metric_count * size);
    return copy;
}

struct table_row *table_add(struct table *t, const struct aggregate_row *row)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 64;
        t->rows = xrealloc(t->rows, t->capacity * sizeof *t->rows);
    }
    struct table_row *out = &t->rows[t->count];
    struct bytes *groups;
    *out = (struct table_row){.row = *row};
    if (!copy_groups(t, row->groups, &groups) ||
        !arena_copy(&t->arena, row->interval_start, &out->row.interval_start))
        return NULL;
    out->row.groups = groups;
    out->row.numbers = copy_array(t, row->numbers, sizeof *row->numbers);
    out->row.integers = copy_array(t, row->integers, sizeof *row->integers);
    out->row.is_integer = copy_array(t, row->is_integer, sizeof *row->is_integer);
    if (!out->row.numbers || !out->row.integers || !out->row.is_integer)
        return NULL;
    t->count++;
    return out;
}
