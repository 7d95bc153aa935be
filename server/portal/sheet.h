/*
 * A table of figures: made once, shown as HTML with its chart, or as CSV, and cut down to
 * cohorts in one place. Texts and rows live in the arena of the request.
 */
#ifndef SERVER_PORTAL_SHEET_H
#define SERVER_PORTAL_SHEET_H

#include "base/arena.h"
#include "server/portal/html.h"
#include "server/query/people.h"

enum { SHEET_MAX_COLUMNS = 16 };

enum sheet_unit {
    SHEET_COUNT,        /* 1,234 */
    SHEET_SHORT,        /* 1.23 M; for tokens */
    SHEET_MONEY,        /* micro-dollars */
    SHEET_RATIO,        /* 0.42 */
    SHEET_MILLISECONDS, /* 840 ms */
    SHEET_HOURS,        /* seconds, shown as hours */
};

struct sheet_column {
    const char *title; /* "From cache" */
    const char *name;  /* in CSV: "cacheShare" */
    enum sheet_unit unit;
};

struct sheet_row {
    struct bytes name;
    struct bytes link; /* a path and query of ours to go deeper, escaped; empty: none */
    int64_t people;    /* how many stand behind it; negative: not known, so never in cohorts */
    bool is_total;
    double values[SHEET_MAX_COLUMNS]; /* NaN: no value */
};

struct sheet {
    const char *id;      /* "models": of the element, and of the CSV */
    const char *title;   /* "By model" */
    const char *rows;    /* heading of the first column: "Model" */
    const char *csv_row; /* in CSV: "model" */
    const struct sheet_column *columns;
    size_t column_count;
    bool is_days;       /* rows are days, oldest first */
    size_t bar_column;  /* whose share of the largest a bar shows, from 1; 0: none */
    const char *note;   /* a sentence below the title, or NULL */
    const char *charts; /* columns to draw, "0" or "0,3" one chart each; NULL: none */
    struct arena *arena;
    struct sheet_row *list;
    size_t count, capacity;
    uint32_t *slots; /* rows by the hash of their names, 1 too high; made by sheet_find() */
    size_t slot_count, indexed;
    size_t withheld;  /* rows left out for being too small a cohort */
    size_t max_shown; /* on a page; the CSV has them all. 0: all */
    bool full;        /* the arena is */
};

/* Adds an empty row (values NaN, people unknown). NULL, and full, when there is no more room. */
struct sheet_row *sheet_add(struct sheet *sheet, struct bytes name);

/* The row of this name, added when there is none. */
struct sheet_row *sheet_find(struct sheet *sheet, struct bytes name);

/* Largest first by a column; rows past `max` are dropped when it is not 0. */
void sheet_sort(struct sheet *sheet, size_t column, size_t max);

/* Leaves only what at least PRIVACY_MIN_COHORT people stand behind. Days stay, without figures. */
void sheet_keep_cohorts(struct sheet *sheet);

void sheet_put(struct page *page, const struct sheet *sheet);

/* RFC 4180, a head line first, plain numbers. */
MUST_USE bool sheet_put_csv(struct buffer *out, const struct sheet *sheet);

#endif
