/* The rows that daily usage is made of, from all sources alike. Private to server/query. */
#ifndef SERVER_QUERY_USAGE_CELLS_H
#define SERVER_QUERY_USAGE_CELLS_H

#include "server/query/usage.h"

/* Families as far as two reports share one: tokens and cost come from different reports. */
enum usage_part { PART_TOKENS, PART_COST, PART_ACTIVITY, PART_EDITS, PART_COUNT };

struct usage_cell {
    char day[INSTANT_DAY_BYTES];
    struct bytes person, actor, system, model, session; /* in the arena */
    enum usage_source source;
    bool beta; /* of the analytics beta */
    bool provisional;
    unsigned char winner[USAGE_FAMILY_COUNT]; /* enum usage_source, of its person's day */
    struct usage_figures figures;
    int64_t people; /* of the group it ends up in */
};

struct usage_cells {
    struct usage_cell *items;
    size_t count, capacity;
    struct arena *arena;
    bool full;
};

/* Copies the cell and its texts. False when there are too many: then `full` is set. */
bool usage_cells_add(struct usage_cells *cells, const struct usage_cell *cell);

double usage_part_weight(const struct usage_figures *figures, enum usage_part part);
void usage_part_drop(struct usage_figures *figures, enum usage_part part);
void usage_figures_add(struct usage_figures *sum, const struct usage_figures *more);
enum usage_family usage_family_of_part(enum usage_part part);

/* Appends what OpenTelemetry told of the days, each session counted once. Days inclusive. */
MUST_USE bool usage_read_otel(struct message_store *store, const char *from_day, const char *to_day,
                              struct usage_cells *cells, struct error *err);

/* The same of its requests alone, from daily sums. */
MUST_USE bool usage_read_requests(struct message_store *store, uint64_t from_ns, uint64_t to_ns,
                                  struct usage_cells *cells, struct error *err);

/* Appends what the APIs told of the days, by person. */
MUST_USE bool usage_read_api(const struct usage_question *question, const char *from_day,
                             const char *to_day, struct usage_cells *cells, struct error *err);

/*
 * Leaves in every cell what its source is believed for, and writes winner and provisional.
 * Sorts the cells by day and person.
 */
void usage_choose(struct usage_cells *cells, const struct usage_question *question);

/* Sorts by day, person, actor, then whatever makes the order the same each time. */
void usage_sort_by_person(struct usage_cells *cells);
bool usage_same_person_day(const struct usage_cell *a, const struct usage_cell *b);

#endif
