#include "server/query/usage_cells.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { MAX_CELLS = 1000000 };

bool usage_cells_add(struct usage_cells *cells, const struct usage_cell *cell)
{
    if (cells->count == MAX_CELLS) {
        cells->full = true;
        return false;
    }
    if (cells->count == cells->capacity) {
        cells->capacity = cells->capacity ? 2 * cells->capacity : 1024;
        cells->items = xrealloc(cells->items, cells->capacity * sizeof *cells->items);
    }
    struct usage_cell *kept = &cells->items[cells->count];
    *kept = *cell;
    cells->full = !arena_copy(cells->arena, cell->person, &kept->person) ||
                  !arena_copy(cells->arena, cell->actor, &kept->actor) ||
                  !arena_copy(cells->arena, cell->system, &kept->system) ||
                  !arena_copy(cells->arena, cell->model, &kept->model) ||
                  !arena_copy(cells->arena, cell->session, &kept->session);
    cells->count += !cells->full;
    return !cells->full;
}

enum usage_family usage_family_of_part(enum usage_part part)
{
    return part == PART_ACTIVITY ? USAGE_ACTIVITY : part == PART_EDITS ? USAGE_EDITS : USAGE_TOKENS;
}

double usage_part_weight(const struct usage_figures *f, enum usage_part part)
{
    switch (part) {
    case PART_TOKENS:
        return (double)f->input_tokens + (double)f->output_tokens + (double)f->cache_read_tokens +
               (double)f->cache_create_tokens;
    case PART_COST:
        return f->cost_1e8_usd < 0 ? -(double)f->cost_1e8_usd : (double)f->cost_1e8_usd;
    case PART_ACTIVITY:
        return f->active_seconds + (double)f->sessions + (double)f->commits +
               (double)f->pull_requests;
    default:
        return (double)f->lines_added + (double)f->lines_removed + (double)f->edits_accepted +
               (double)f->edits_rejected;
    }
}

void usage_part_drop(struct usage_figures *f, enum usage_part part)
{
    switch (part) {
    case PART_TOKENS:
        f->input_tokens = f->output_tokens = f->cache_read_tokens = f->cache_create_tokens = 0;
        break;
    case PART_COST:
        f->cost_1e8_usd = 0;
        break;
    case PART_ACTIVITY:
        f->active_seconds = 0;
        f->sessions = f->commits = f->pull_requests = 0;
        break;
    default:
        f->lines_added = f->lines_removed = f->edits_accepted = f->edits_rejected = 0;
    }
}

void usage_figures_add(struct usage_figures *sum, const struct usage_figures *more)
{
    sum->input_tokens += more->input_tokens;
    sum->output_tokens += more->output_tokens;
    sum->cache_read_tokens += more->cache_read_tokens;
    sum->cache_create_tokens += more->cache_create_tokens;
    sum->cost_1e8_usd += more->cost_1e8_usd;
    sum->requests += more->requests;
    sum->sessions += more->sessions;
    sum->commits += more->commits;
    sum->pull_requests += more->pull_requests;
    sum->lines_added += more->lines_added;
    sum->lines_removed += more->lines_removed;
    sum->edits_accepted += more->edits_accepted;
    sum->edits_rejected += more->edits_rejected;
    sum->active_seconds += more->active_seconds;
}

int usage_compare_texts(struct bytes a, struct bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_persons(const struct usage_cell *a, const struct usage_cell *b)
{
    int order = strcmp(a->day, b->day);
    if (order == 0)
        order = usage_compare_texts(a->person, b->person);
    return order != 0 ? order : usage_compare_texts(a->actor, b->actor);
}

static int by_person(const void *first, const void *second)
{
    const struct usage_cell *a = first, *b = second;
    int order = compare_persons(a, b);
    if (order == 0)
        order = (int)a->source - (int)b->source;
    if (order == 0)
        order = usage_compare_texts(a->system, b->system);
    if (order == 0)
        order = usage_compare_texts(a->model, b->model);
    if (order == 0)
        order = usage_compare_texts(a->session, b->session);
    if (order == 0) /* of a session's two origins one has no active time left */
        order = (a->figures.active_seconds > b->figures.active_seconds) -
                (a->figures.active_seconds < b->figures.active_seconds);
    return order;
}

void usage_sort_by_person(struct usage_cells *cells)
{
    if (cells->count > 0)
        qsort(cells->items, cells->count, sizeof *cells->items, by_person);
}

bool usage_same_person_day(const struct usage_cell *a, const struct usage_cell *b)
{
    return compare_persons(a, b) == 0;
}
