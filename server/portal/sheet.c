#include "server/portal/sheet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/router/answers.h"

enum { MAX_ROWS = 100000 };

/* ---- Rows ---- */

struct sheet_row *sheet_add(struct sheet *s, struct bytes name)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 32;
        struct sheet_row *list =
            s->count < MAX_ROWS ? arena_alloc_many(s->arena, capacity, sizeof *list) : NULL;
        if (!list) {
            s->full = true;
            return NULL;
        }
        if (s->count > 0)
            memcpy(list, s->list, s->count * sizeof *list);
        s->list = list;
        s->capacity = capacity;
    }
    struct sheet_row *row = &s->list[s->count];
    *row = (struct sheet_row){.people = -1};
    if (!arena_copy(s->arena, name, &row->name)) {
        s->full = true;
        return NULL;
    }
    for (size_t i = 0; i < SHEET_MAX_COLUMNS; i++)
        row->values[i] = (double)NAN;
    s->count++;
    return row;
}

/* The slot of a name: where its row is noted, or a free one. */
static size_t slot_of(const struct sheet *s, struct bytes name)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ name.data[i]) * UINT64_C(1099511628211);
    size_t at = (size_t)(hash ^ hash >> 32) & (s->slot_count - 1);
    while (s->slots[at] != 0 && !bytes_equal(s->list[s->slots[at] - 1].name, name))
        at = (at + 1) & (s->slot_count - 1);
    return at;
}

/* Notes the rows that are not yet, in more slots when they fill up. */
static bool index_rows(struct sheet *s)
{
    if (2 * (s->count + 1) > s->slot_count) {
        size_t slot_count = s->slot_count ? s->slot_count : 64;
        while (2 * (s->count + 1) > slot_count)
            slot_count *= 2;
        s->slots = arena_alloc_many(s->arena, 2 * slot_count, sizeof *s->slots);
        s->slot_count = s->slots ? 2 * slot_count : 0;
        s->indexed = 0;
    }
    for (; s->slots && s->indexed < s->count; s->indexed++) {
        size_t slot = slot_of(s, s->list[s->indexed].name);
        if (s->slots[slot] == 0)
            s->slots[slot] = (uint32_t)s->indexed + 1;
    }
    return s->slots != NULL;
}

struct sheet_row *sheet_find(struct sheet *s, struct bytes name)
{
    if (!index_rows(s)) {
        s->full = true;
        return NULL;
    }
    uint32_t row = s->slots[slot_of(s, name)];
    return row > 0 ? &s->list[row - 1] : sheet_add(s, name);
}

static bool comes_first(const struct sheet_row *a, const struct sheet_row *b, size_t column)
{
    double left = a->values[column], right = b->values[column];
    if (isnan(left) || isnan(right))
        return !isnan(left);
    return left > right;
}

/* Merging, because qsort takes no context and the C library's qsort_r is not everywhere the same. */
static void merge_sort(struct sheet_row *rows, struct sheet_row *spare, size_t count, size_t column)
{
    if (count < 2)
        return;
    size_t half = count / 2, left = 0, right = half;
    merge_sort(rows, spare, half, column);
    merge_sort(rows + half, spare, count - half, column);
    memcpy(spare, rows, half * sizeof *rows);
    for (size_t i = 0; left < half; i++)
        rows[i] = right < count && comes_first(&rows[right], &spare[left], column) ? rows[right++]
                                                                                   : spare[left++];
}

void sheet_sort(struct sheet *s, size_t column, size_t max)
{
    struct sheet_row *spare = arena_alloc_many(s->arena, s->count / 2 + 1, sizeof *spare);
    if (spare)
        merge_sort(s->list, spare, s->count, column);
    else
        s->full = true;
    if (max > 0 && s->count > max)
        s->count = max;
    s->slot_count = 0; /* the rows are elsewhere now */
}

void sheet_keep_cohorts(struct sheet *s)
{
    size_t kept = 0;
    struct privacy_row *rows = xcalloc(s->count + 1, sizeof *rows);
    for (size_t i = 0; i < s->count; i++)
        rows[i] = (struct privacy_row){.people = s->list[i].people, .keys = &s->list[i].name};
    if (s->is_days) /* a day on which nobody was there has nothing to hide */
        for (size_t i = 0; i < s->count; i++)
            if (rows[i].people == 0)
                rows[i].people = INT64_MAX;
    (void)privacy_withhold(rows, s->count, 1);
    for (size_t i = 0; i < s->count; i++) {
        struct sheet_row row = s->list[i];
        s->withheld += rows[i].withheld;
        if (rows[i].withheld && !s->is_days)
            continue;
        for (size_t c = 0; rows[i].withheld && c < SHEET_MAX_COLUMNS; c++)
            row.values[c] = (double)NAN;
        row.link = (struct bytes){0};
        s->list[kept++] = row;
    }
    s->count = kept;
    free(rows);
}

/* ---- HTML ---- */

static void put_value(struct page *page, enum sheet_unit unit, double value)
{
    if (isnan(value)) {
        html_raw(page, "–");
        return;
    }
    switch (unit) {
    case SHEET_COUNT:
        html_count(page, (int64_t)llround(value));
        break;
    case SHEET_SHORT:
        html_short(page, value);
        break;
    case SHEET_MONEY:
        html_money(page, value);
        break;
    case SHEET_RATIO:
        html_share(page, value);
        break;
    case SHEET_MILLISECONDS:
        html_duration(page, value);
        break;
    case SHEET_HOURS:
        html_format(page, "%.1f h", value / 3600);
        break;
    }
}

/* What a chart draws: dollars, hours, the rest as it is. */
static double drawn_value(enum sheet_unit unit, double value)
{
    return unit == SHEET_MONEY ? value / 1e6 : unit == SHEET_HOURS ? value / 3600 : value;
}

static double largest(const struct sheet *s, size_t column)
{
    double most = 0;
    for (size_t i = 0; i < s->count; i++)
        if (!s->list[i].is_total && s->list[i].values[column] > most)
            most = s->list[i].values[column];
    return most;
}

static void put_bar(struct page *page, double share)
{
    html_raw(page,
             "<svg class=\"bar\" aria-hidden=\"true\" focusable=\"false\"><rect height=\"100%\"");
    char width[24];
    snprintf(width, sizeof width, "%.2f%%", isnan(share) || share < 0 ? 0 : share * 100);
    html_attribute(page, "width", bytes_of(width));
    html_raw(page, "/></svg>");
}

static void put_cell(struct page *page, const struct sheet *s, const struct sheet_row *row,
                     size_t c)
{
    html_raw(page, "<td");
    if (s->charts && !isnan(row->values[c])) {
        char number[40];
        snprintf(number, sizeof number, "%.10g", drawn_value(s->columns[c].unit, row->values[c]));
        html_attribute(page, "data-n", bytes_of(number));
    }
    html_raw(page, ">");
    put_value(page, s->columns[c].unit, row->values[c]);
    html_raw(page, "</td>");
}

static void put_row(struct page *page, const struct sheet *s, const struct sheet_row *row,
                    double most)
{
    html_raw(page, row->is_total ? "<tr class=\"total\">" : "<tr>");
    html_raw(page, "<th scope=\"row\">");
    if (row->link.len > 0) {
        html_raw(page, "<a");
        html_written_attribute(page, "href", row->link);
        html_raw(page, ">");
    }
    if (row->name.len > 0)
        html_text(page, row->name);
    else
        html_raw(page, "(unknown)");
    if (row->link.len > 0)
        html_raw(page, "</a>");
    if (s->bar_column > 0 && !row->is_total)
        put_bar(page, most > 0 ? row->values[s->bar_column - 1] / most : 0);
    html_raw(page, "</th>");
    for (size_t c = 0; c < s->column_count; c++)
        put_cell(page, s, row, c);
    html_raw(page, "</tr>");
}

static size_t shown_count(const struct sheet *s)
{
    return s->max_shown > 0 && s->count > s->max_shown ? s->max_shown : s->count;
}

static void put_table(struct page *page, const struct sheet *s)
{
    html_raw(page, "<div class=\"wide\" tabindex=\"0\" role=\"region\"");
    html_attribute(page, "aria-label", bytes_of(s->title));
    html_raw(page, "><table");
    html_attribute(page, "id", bytes_of(s->id));
    html_raw(page, "><thead><tr><th scope=\"col\">");
    html_format(page, "%s", s->rows);
    html_raw(page, "</th>");
    for (size_t c = 0; c < s->column_count; c++) {
        html_raw(page, "<th scope=\"col\"");
        html_raw(page, s->columns[c].unit == SHEET_MONEY ? " data-unit=\"$\">" : ">");
        html_format(page, "%s", s->columns[c].title);
        html_raw(page, "</th>");
    }
    html_raw(page, "</tr></thead><tbody>");
    double most = s->bar_column > 0 ? largest(s, s->bar_column - 1) : 0;
    for (size_t i = 0; i < shown_count(s); i++)
        put_row(page, s, &s->list[i], most);
    html_raw(page, "</tbody></table></div>");
}

/* Drawn at once as plain columns, so that it is there without scripts; charts.js puts the one
 * with axes in its place. */
static void put_columns(struct page *page, const struct sheet *s, size_t column)
{
    double most = largest(s, column);
    html_raw(page, "<svg class=\"columns\" preserveAspectRatio=\"none\" aria-hidden=\"true\" "
                   "focusable=\"false\" viewBox=\"0 0 ");
    html_format(page, "%zu 100", s->count);
    html_raw(page, "\">");
    for (size_t i = 0; i < s->count; i++) {
        double value = s->list[i].values[column];
        double height = isnan(value) || most <= 0 ? 0 : value / most * 100;
        char rect[96];
        snprintf(rect, sizeof rect, "<rect x=\"%zu.15\" width=\".7\" y=\"%.2f\" height=\"%.2f\"/>",
                 i, 100 - height, height);
        html_raw(page, rect);
    }
    html_raw(page, "</svg>");
}

static void put_charts(struct page *page, const struct sheet *s)
{
    html_raw(page, "<div class=\"charts\">");
    for (const char *at = s->charts; *at; at++) {
        size_t column = (size_t)(*at - '0');
        if (*at == ',' || column >= s->column_count)
            continue;
        html_raw(page, "<figure class=\"chart\"");
        html_attribute(page, "data-table", bytes_of(s->id));
        html_format(page, " data-column=%zu", column);
        html_raw(page, "><figcaption>");
        html_format(page, "%s by day", s->columns[column].title);
        html_raw(page, "</figcaption>");
        put_columns(page, s, column);
        html_raw(page, "</figure>");
    }
    html_raw(page, "</div>");
}

static void put_notes(struct page *page, const struct sheet *s)
{
    if (s->note) {
        html_raw(page, "<p class=\"note\">");
        html_format(page, "%s", s->note);
        html_raw(page, "</p>");
    }
    if (shown_count(s) < s->count) {
        html_raw(page, "<p class=\"note\">");
        html_format(page, "The first %zu of %zu; the CSV has all.", shown_count(s), s->count);
        html_raw(page, "</p>");
    }
    if (s->withheld > 0) {
        html_raw(page, "<p class=\"note\">");
        html_format(page, "%zu %s not shown: fewer than %d people, or what would give those away.",
                    s->withheld,
                    s->is_days ? (s->withheld == 1 ? "day is" : "days are")
                               : (s->withheld == 1 ? "row is" : "rows are"),
                    PRIVACY_MIN_COHORT);
        html_raw(page, "</p>");
    }
}

void sheet_put(struct page *page, const struct sheet *s)
{
    if (s->count == 0) {
        html_raw(page, "<p class=\"empty\">Nothing in these days.</p>");
        put_notes(page, s);
        return;
    }
    if (s->charts)
        put_charts(page, s);
    put_notes(page, s);
    if (s->is_days) {
        html_raw(page, "<details class=\"numbers\"><summary>The numbers, day by day</summary>");
        put_table(page, s);
        html_raw(page, "</details>");
    } else {
        put_table(page, s);
    }
}

/* ---- CSV ---- */

bool sheet_put_csv(struct buffer *out, const struct sheet *s)
{
    bool fits = buffer_append_text(out, s->csv_row);
    for (size_t c = 0; c < s->column_count && fits; c++)
        fits = buffer_append_format(out, ",%s", s->columns[c].name);
    for (size_t i = 0; i < s->count && fits; i++) {
        const struct sheet_row *row = &s->list[i];
        fits = buffer_append_text(out, "\r\n") && csv_put_text(out, row->name);
        for (size_t c = 0; c < s->column_count && fits; c++)
            fits = isnan(row->values[c]) ? buffer_append_byte(out, ',')
                                         : buffer_append_format(out, ",%.15g", row->values[c]);
    }
    return fits && buffer_append_text(out, "\r\n");
}
