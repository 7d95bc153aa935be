#include "server/store/day.h"

#include <stdio.h>

/* Years begin in March here, so that the leap day is the last of its year. */

int64_t day_of_date(int year, int month, int day_of_month)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day_of_month - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void day_to_date(int64_t day, int *year, int *month, int *day_of_month)
{
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day_of_month = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

void day_text(int64_t day, char out[DAY_TEXT_BYTES])
{
    int year, month, day_of_month;
    char text[40];
    day_to_date(day, &year, &month, &day_of_month);
    snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day_of_month);
    for (int i = 0; i < DAY_TEXT_BYTES - 1; i++)
        out[i] = text[i];
    out[DAY_TEXT_BYTES - 1] = 0;
}

bool day_of_text(struct bytes text, int64_t *day)
{
    int numbers[3] = {0};
    static const int LENGTHS[] = {4, 2, 2};
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        if (part && (at >= text.len || text.data[at++] != '-'))
            return false;
        for (int i = 0; i < LENGTHS[part]; i++, at++) {
            if (at >= text.len || text.data[at] < '0' || text.data[at] > '9')
                return false;
            numbers[part] = numbers[part] * 10 + text.data[at] - '0';
        }
    }
    if (at != text.len)
        return false;
    *day = day_of_date(numbers[0], numbers[1], numbers[2]);
    int year, month, day_of_month;
    day_to_date(*day, &year, &month, &day_of_month);
    return year == numbers[0] && month == numbers[1] && day_of_month == numbers[2];
}
