#include "server/store/zone_rule.h"

#include "base/calendar.h"

enum { DAY_S = 86400 };

struct cursor {
    struct bytes rest;
};

static int peek(const struct cursor *c)
{
    return c->rest.len ? c->rest.data[0] : -1;
}

static void step(struct cursor *c)
{
    c->rest = bytes_make(c->rest.data + 1, c->rest.len - 1);
}

static bool take(struct cursor *c, int wanted)
{
    if (peek(c) != wanted)
        return false;
    step(c);
    return true;
}

static bool take_number(struct cursor *c, int max, int *out)
{
    int number = 0, digits = 0;
    while (peek(c) >= '0' && peek(c) <= '9' && digits < 5) {
        number = number * 10 + peek(c) - '0';
        step(c);
        digits++;
    }
    *out = number;
    return digits > 0 && number <= max;
}

/* "CET", or "<+03>". */
static bool skip_name(struct cursor *c)
{
    size_t before = c->rest.len;
    if (take(c, '<')) {
        while (peek(c) != '>' && peek(c) != -1)
            step(c);
        return take(c, '>');
    }
    while ((peek(c) >= 'A' && peek(c) <= 'Z') || (peek(c) >= 'a' && peek(c) <= 'z'))
        step(c);
    return before - c->rest.len >= 3;
}

/* "[+-]hh[:mm[:ss]]" */
static bool take_time(struct cursor *c, int32_t *out)
{
    int sign = 1, hours = 0, minutes = 0, seconds = 0;
    if (take(c, '-'))
        sign = -1;
    else
        take(c, '+');
    if (!take_number(c, 167, &hours) ||
        (take(c, ':') &&
         (!take_number(c, 59, &minutes) || (take(c, ':') && !take_number(c, 59, &seconds)))))
        return false;
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool take_change(struct cursor *c, struct zone_change *out)
{
    *out = (struct zone_change){.time_s = 2 * 3600};
    if (take(c, 'M')) {
        out->kind = CHANGE_MONTH;
        if (!take_number(c, 12, &out->month) || out->month == 0 || !take(c, '.') ||
            !take_number(c, 5, &out->week) || out->week == 0 || !take(c, '.') ||
            !take_number(c, 6, &out->weekday))
            return false;
    } else if (take(c, 'J')) {
        out->kind = CHANGE_JULIAN;
        if (!take_number(c, 365, &out->day) || out->day == 0)
            return false;
    } else {
        out->kind = CHANGE_DAY;
        if (!take_number(c, 365, &out->day))
            return false;
    }
    return !take(c, '/') || take_time(c, &out->time_s);
}

bool zone_rule_parse(struct bytes text, struct zone_rule *out)
{
    struct cursor c = {text};
    int32_t west;
    *out = (struct zone_rule){0};
    if (!skip_name(&c) || !take_time(&c, &west))
        return false;
    out->standard_s = -west;
    if (c.rest.len == 0)
        return true;
    if (!skip_name(&c))
        return false;
    out->has_summer = true;
    out->summer_s = out->standard_s + 3600;
    if (peek(&c) != ',') {
        if (!take_time(&c, &west))
            return false;
        out->summer_s = -west;
    }
    return take(&c, ',') && take_change(&c, &out->begin) && take(&c, ',') &&
           take_change(&c, &out->end) && c.rest.len == 0;
}

/* The change of a year, in seconds since 1970 of a clock with this offset. */
static int64_t change_at(const struct zone_change *change, int64_t year, int32_t offset_s)
{
    int64_t day;
    if (change->kind == CHANGE_MONTH) {
        unsigned month = (unsigned)change->month;
        int64_t first = calendar_days(year, month, 1);
        int64_t next = first + calendar_days_in_month(year, month);
        int first_weekday = (int)(((first + 4) % 7 + 7) % 7); /* Sunday is 0 */
        day = first + (change->weekday - first_weekday + 7) % 7 + 7 * (change->week - 1);
        while (day >= next)
            day -= 7;
    } else {
        day = calendar_days(year, 1, 1) + change->day;
        if (change->kind == CHANGE_JULIAN)
            day += calendar_days_in_month(year, 2) == 29 && change->day >= 60 ? 0 : -1;
    }
    return day * DAY_S + change->time_s - offset_s;
}

int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t at_s)
{
    if (!rule->has_summer)
        return rule->standard_s;
    unsigned month, day_of_month;
    int64_t year, local = at_s + rule->standard_s;
    calendar_date(local / DAY_S - (local % DAY_S < 0), &year, &month, &day_of_month);
    int64_t begin = change_at(&rule->begin, year, rule->standard_s);
    int64_t end = change_at(&rule->end, year, rule->summer_s);
    bool summer = begin < end ? at_s >= begin && at_s < end : at_s >= begin || at_s < end;
    return summer ? rule->summer_s : rule->standard_s;
}
