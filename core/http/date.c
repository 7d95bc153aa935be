#include "core/http/date.h"

#include <stdio.h>
#include <string.h>

#include "base/calendar.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

void http_date_format(uint64_t unix_s, char out[HTTP_DATE_BYTES])
{
    const uint64_t last = UINT64_C(253402300799); /* the end of year 9999 */
    if (unix_s > last)
        unix_s = last;
    uint64_t days = unix_s / 86400;
    unsigned second = (unsigned)(unix_s % 86400), month, day;
    int64_t year;
    calendar_date((int64_t)days, &year, &month, &day);

    snprintf(out, HTTP_DATE_BYTES, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             day_names + days % 7 * 3, day % 100, month_names + (month - 1) * 3,
             (unsigned)year % 10000, second / 3600 % 24, second / 60 % 60, second % 60);
}

static unsigned month_of(const char *name)
{
    for (unsigned i = 0; i < 12; i++)
        if (strncmp(name, month_names + i * 3, 3) == 0)
            return i + 1;
    return 0;
}

bool http_date_parse(struct bytes text, uint64_t *unix_s)
{
    char line[48], month_name[4] = "";
    if (text.len >= sizeof line || (text.len > 0 && memchr(text.data, '\0', text.len)))
        return false;
    memcpy(line, text.data ? (const char *)text.data : "", text.len);
    line[text.len] = '\0';

    unsigned year, day, hour, minute, second;
    int end = -1;
    if (sscanf(line, "%*3[A-Za-z], %2u %3[A-Za-z] %4u %2u:%2u:%2u GMT%n", &day, month_name, &year,
               &hour, &minute, &second, &end) == 6 &&
        end > 0) {
        /* the form of today */
    } else if (sscanf(line, "%*9[A-Za-z], %2u-%3[A-Za-z]-%2u %2u:%2u:%2u GMT%n", &day, month_name,
                      &year, &hour, &minute, &second, &end) == 6 &&
               end > 0) {
        year += year < 70 ? 2000 : 1900;
    } else if (sscanf(line, "%*3[A-Za-z] %3[A-Za-z] %2u %2u:%2u:%2u %4u%n", month_name, &day, &hour,
                      &minute, &second, &year, &end) != 6 ||
               end <= 0) {
        return false;
    }
    unsigned month = month_of(month_name);
    if ((size_t)end != text.len || month == 0 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60 || year < 1970)
        return false;
    *unix_s =
        (uint64_t)calendar_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}
