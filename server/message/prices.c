#include "server/message/prices.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/memory.h"
#include "server/message/prices_csv.h"

enum { MODEL_BYTES = 64, MAX_ROWS = 1024, DATE_DIGITS = 8, PRICE_COLUMNS = 5 };
/* Beyond these a count or a price is nonsense; four products of them fit in 63 bits. */
#define MAX_TOKENS INT64_C(1000000000000)
#define MAX_PRICE INT64_C(1000000)

/* In USD per 10^9 tokens, which is thousandths of a microdollar a token: all decimals, exactly. */
struct price {
    char model[MODEL_BYTES];
    char from[11]; /* "2026-01-01"; such texts sort as their days do */
    int64_t input, output, cache_read, cache_write;
};

struct prices {
    struct price *rows;
    size_t count;
};

/* ---- Reading ---- */

static struct bytes cut(struct bytes *rest, char separator)
{
    const uint8_t *end = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct bytes first = bytes_make(rest->data, len);
    size_t used = len + (end ? 1 : 0);
    *rest = bytes_make(rest->len ? rest->data + used : NULL, rest->len - used);
    return first;
}

/* "18.75" as 18750. */
static bool read_price(struct bytes text, int64_t *out)
{
    int64_t value = 0;
    int decimals = -1;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '.' && decimals < 0 && i > 0) {
            decimals = 0;
        } else if (c >= '0' && c <= '9' && value < 1000000 && decimals < 3) {
            value = value * 10 + (c - '0');
            decimals += decimals >= 0;
        } else {
            return false;
        }
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
        value *= 10;
    *out = value;
    return text.len > 0 && decimals != 0 && value <= MAX_PRICE;
}

static bool is_day(struct bytes text)
{
    static const char shape[] = "dddd-dd-dd";
    if (text.len != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (shape[i] == 'd' ? !isdigit(text.data[i]) : text.data[i] != '-')
            return false;
    return true;
}

static bool read_row(struct bytes line, struct price *out)
{
    struct bytes model = cut(&line, ','), from = cut(&line, ',');
    int64_t one_hour = 0; /* read for its form; the column is for people */
    int64_t *const columns[PRICE_COLUMNS] = {&out->input, &out->output, &out->cache_read,
                                             &out->cache_write, &one_hour};
    *out = (struct price){0};
    if (model.len == 0 || model.len >= sizeof out->model || !is_day(from))
        return false;
    memcpy(out->model, model.data, model.len);
    memcpy(out->from, from.data, from.len);
    for (int i = 0; i < PRICE_COLUMNS; i++)
        if (!read_price(cut(&line, ','), columns[i]))
            return false;
    return line.len > 0; /* the source */
}

struct prices *prices_create(struct bytes csv, struct error *err)
{
    struct prices *p = xcalloc(1, sizeof *p);
    p->rows = xcalloc(MAX_ROWS, sizeof *p->rows);
    for (unsigned number = 1; csv.len > 0; number++) {
        struct bytes line = cut(&csv, '\n');
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0 || line.data[0] == '#')
            continue;
        if (p->count == MAX_ROWS || !read_row(line, &p->rows[p->count])) {
            error_set(err, FAIL_INVALID, "line %u of the prices is wrong: '%.*s'", number,
                      line.len < 80 ? (int)line.len : 80, (const char *)line.data);
            error_remedy(err, "write model,from,input,output,cache_read,cache_write_5m,"
                              "cache_write_1h,source");
            prices_destroy(p);
            return NULL;
        }
        p->count++;
    }
    return p;
}

void prices_destroy(struct prices *p)
{
    if (!p)
        return;
    free(p->rows);
    free(p);
}

struct prices *prices_create_builtin(void)
{
    struct error err;
    struct prices *p = prices_create(bytes_make(prices_csv, prices_csv_len), &err);
    if (!p)
        abort(); /* the tests read the same table */
    return p;
}

/* ---- Asking ---- */

/* Whether what follows a model's name leaves it that model: a date, a version, a suffix. */
static bool may_follow(struct bytes rest)
{
    if (rest.len == 0 || rest.data[0] == '@' || rest.data[0] == '[' || rest.data[0] == ':')
        return true;
    if (rest.data[0] != '-' || rest.len < 2)
        return false;
    size_t digits = 0;
    while (1 + digits < rest.len && isdigit(rest.data[1 + digits]))
        digits++;
    struct bytes tail = bytes_make(rest.data + 1, rest.len - 1);
    return digits == DATE_DIGITS || bytes_equal_text(tail, "latest") ||
           (tail.data[0] == 'v' && tail.len > 1 && isdigit(tail.data[1]));
}

static bool is_model(struct bytes name, const char *model)
{
    size_t len = strlen(model);
    for (size_t at = 0; at + len <= name.len; at++) {
        bool begins = at == 0 || name.data[at - 1] == '.' || name.data[at - 1] == '/';
        if (begins && memcmp(name.data + at, model, len) == 0 &&
            may_follow(bytes_make(name.data + at + len, name.len - at - len)))
            return true;
    }
    return false;
}

static void day_of(uint64_t time_ns, char out[11])
{
    int64_t year;
    unsigned month, day;
    calendar_date((int64_t)(time_ns / NS_PER_S / 86400), &year, &month, &day);
    snprintf(out, 11, "%04u-%02u-%02u", (unsigned)year % 10000, month % 100, day % 100);
}

static const struct price *find(const struct prices *p, const struct message *m)
{
    const struct price *best = NULL;
    char day[11];
    day_of(m->time_ns, day);
    for (size_t i = 0; i < p->count; i++) {
        const struct price *row = &p->rows[i];
        if (strcmp(row->from, day) <= 0 && is_model(m->model, row->model) &&
            (!best || strcmp(row->from, best->from) > 0))
            best = row;
    }
    return best;
}

int64_t prices_cost(const struct prices *p, const struct message *m)
{
    const int64_t counts[] = {m->input_tokens, m->output_tokens, m->cache_read_tokens,
                              m->cache_create_tokens};
    const struct price *row = m->model.len > 0 ? find(p, m) : NULL;
    if (!row)
        return MESSAGE_ABSENT;
    const int64_t prices[] = {row->input, row->output, row->cache_read, row->cache_write};
    int64_t sum = 0;
    bool any = false;
    for (int i = 0; i < 4; i++) {
        if (counts[i] > MAX_TOKENS)
            return MESSAGE_ABSENT;
        if (counts[i] >= 0)
            sum += counts[i] * prices[i];
        any = any || counts[i] >= 0;
    }
    return any ? (sum + 500) / 1000 : MESSAGE_ABSENT;
}
