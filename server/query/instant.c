#include "server/query/instant.h"

#include <stdio.h>

#include "base/calendar.h"
#include "base/clock.h"

/* Takes exactly `digits` digits from the front. */
static bool take_number(struct bytes *text, unsigned digits, unsigned *out)
{
    if (text->len < digits)
        return false;
    *out = 0;
    for (unsigned i = 0; i < digits; i++) {
        unsigned digit = (unsigned)text->data[i] - '0';
        if (digit > 9)
            return false;
        *out = *out * 10 + digit;
    }
    *text = bytes_make(text->data + digits, text->len - digits);
    return true;
}

static bool take_character(struct bytes *text, const char *any_of, char *which)
{
    if (text->len == 0 || text->data[0] == 0 || !strchr(any_of, text->data[0]))
        return false;
    if (which)
        *which = (char)text->data[0];
    *text = bytes_make(text->data + 1, text->len - 1);
    return true;
}

static bool take_date(struct bytes *text, int64_t *days)
{
    unsigned year, month, day;
    if (!take_number(text, 4, &year) || !take_character(text, "-", NULL) ||
        !take_number(text, 2, &month) || !take_character(text, "-", NULL) ||
        !take_number(text, 2, &day))
        return false;
    if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 ||
        day > calendar_days_in_month(year, month))
        return false;
    *days = calendar_days(year, month, day);
    return true;
}

/* ".5": at most nine digits count. */
static bool take_fraction(struct bytes *text, uint64_t *ns)
{
    uint64_t unit = NS_PER_S / 10;
    unsigned digit;
    *ns = 0;
    if (!take_character(text, ".", NULL))
        return true;
    if (!take_number(text, 1, &digit))
        return false;
    do {
        *ns += unit * digit;
        unit /= 10;
    } while (take_number(text, 1, &digit));
    return true;
}

/* "Z" or "+02:00", in seconds east. */
static bool take_offset(struct bytes *text, int64_t *seconds)
{
    char sign;
    unsigned hours, minutes;
    *seconds = 0;
    if (!take_character(text, "Zz+- ", &sign))
        return false;
    if (sign == 'Z' || sign == 'z')
        return true;
    if (!take_number(text, 2, &hours) || !take_character(text, ":", NULL) ||
        !take_number(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    /* A '+' that nobody escaped has become a space in a query string. */
    *seconds = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return true;
}

bool instant_parse(struct bytes text, uint64_t *unix_ns)
{
    int64_t days, offset = 0;
    unsigned hour = 0, minute = 0, second = 0;
    uint64_t fraction = 0;
    if (!take_date(&text, &days))
        return false;
    if (text.len > 0) {
        if (!take_character(&text, "Tt ", NULL) || !take_number(&text, 2, &hour) ||
            !take_character(&text, ":", NULL) || !take_number(&text, 2, &minute) ||
            !take_character(&text, ":", NULL) || !take_number(&text, 2, &second) ||
            !take_fraction(&text, &fraction) || !take_offset(&text, &offset) || text.len > 0)
            return false;
        if (hour > 23 || minute > 59 || second > 60)
            return false;
    }
    int64_t at_s = days * 86400 + hour * 3600 + minute * 60 + second - offset;
    if (at_s < 0)
        return false;
    *unix_ns = (uint64_t)at_s * NS_PER_S + fraction;
    return true;
}

bool instant_parse_day(struct bytes text, uint64_t *unix_ns)
{
    return text.len == INSTANT_DAY_BYTES - 1 && instant_parse(text, unix_ns);
}

void instant_day(uint64_t unix_ns, char out[INSTANT_DAY_BYTES])
{
    int64_t year;
    unsigned month, day;
    calendar_date((int64_t)(unix_ns / NS_PER_S / 86400), &year, &month, &day);
    snprintf(out, INSTANT_DAY_BYTES, "%04u-%02u-%02u", (unsigned)year % 10000, month % 100,
             day % 100);
}
