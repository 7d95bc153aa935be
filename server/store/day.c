#include "server/store/day.h"

#include <stdio.h>

#include "base/calendar.h"

void day_text(int64_t day, char out[DAY_TEXT_BYTES])
{
    int64_t year;
    unsigned month, day_of_month;
    char text[48];
    calendar_date(day, &year, &month, &day_of_month);
    snprintf(text, sizeof text, "%04lld-%02u-%02u", (long long)year, month, day_of_month);
    for (int i = 0; i < DAY_TEXT_BYTES - 1; i++)
        out[i] = text[i];
    out[DAY_TEXT_BYTES - 1] = 0;
}

bool day_of_text(struct bytes text, int64_t *day)
{
    unsigned numbers[3] = {0};
    static const int LENGTHS[] = {4, 2, 2};
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        if (part && (at >= text.len || text.data[at++] != '-'))
            return false;
        for (int i = 0; i < LENGTHS[part]; i++, at++) {
            if (at >= text.len || text.data[at] < '0' || text.data[at] > '9')
                return false;
            numbers[part] = numbers[part] * 10 + (unsigned)(text.data[at] - '0');
        }
    }
    if (at != text.len || numbers[1] < 1 || numbers[1] > 12 || numbers[2] < 1 ||
        numbers[2] > calendar_days_in_month(numbers[0], numbers[1]))
        return false;
    *day = calendar_days(numbers[0], numbers[1], numbers[2]);
    return true;
}
