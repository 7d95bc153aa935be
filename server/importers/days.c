/* Calendar days as text, and the cutting of a range into questions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/importers/chunks.h"
#include "server/importers/importer.h"

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back. */
static long days_of(int year, int month, int day)
{
    year -= month <= 2;
    long era = (year >= 0 ? year : year - 399) / 400;
    long year_of_era = year - era * 400;
    long day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void date_of(long days, int *year, int *month, int *day)
{
    days += 719468;
    long era = (days >= 0 ? days : days - 146096) / 146097;
    long of_era = days - era * 146097;
    long year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    long of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    long shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static bool parse_day(const char *text, int *year, int *month, int *day)
{
    static const char shape[] = "dddd-dd-dd";
    if (strlen(text) != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return false;
    *year = atoi(text);
    *month = atoi(text + 5);
    *day = atoi(text + 8);
    return true;
}

bool importer_is_day(const char *text)
{
    int year, month, day, same_year, same_month, same_day;
    if (!parse_day(text, &year, &month, &day) || month < 1 || month > 12 || day < 1)
        return false;
    date_of(days_of(year, month, day), &same_year, &same_month, &same_day);
    return year == same_year && month == same_month && day == same_day;
}

void importer_move_day(const char *day, int days, char out[API_DAY_BYTES])
{
    int y = 1970, m = 1, d = 1;
    (void)parse_day(day, &y, &m, &d);
    date_of(days_of(y, m, d) + days, &y, &m, &d);
    snprintf(out, API_DAY_BYTES, "%04d-%02d-%02d", y % 10000, m % 100, d % 100);
}

bool chunk_next(enum api_report report, const char *from, const char *to, struct api_chunk *out)
{
    if (strcmp(from, to) > 0)
        return false;
    out->report = report;
    snprintf(out->from, sizeof out->from, "%s", from);
    importer_move_day(from, 1, out->to);
    if (report == API_ADMIN_CLAUDE_CODE || report == API_ENTERPRISE_USERS)
        return true;
    /* Up to the month's end: a range has at most 31 days, and its ends do not depend on when it was asked. */
    while (strcmp(out->to, to) <= 0 && strcmp(out->to + 8, "01") != 0)
        importer_move_day(out->to, 1, out->to);
    return true;
}

uint32_t chunk_count(enum api_report report, const char *from, const char *to)
{
    uint32_t count = 0;
    struct api_chunk chunk = {.to = ""};
    snprintf(chunk.to, sizeof chunk.to, "%s", from);
    char start[API_DAY_BYTES];
    do
        memcpy(start, chunk.to, sizeof start);
    while (chunk_next(report, start, to, &chunk) && ++count < 100000);
    return count;
}
