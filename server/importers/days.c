/* Calendar days as text, and the cutting of a range into questions. */
#include <stdio.h>
#include <string.h>

#include "server/importers/chunks.h"
#include "server/importers/importer.h"
#include "server/store/day.h"

bool importer_is_day(const char *text)
{
    int64_t day;
    return day_of_text(bytes_of(text), &day);
}

void importer_move_day(const char *day, int days, char out[API_DAY_BYTES])
{
    int64_t number = 0;
    (void)day_of_text(bytes_of(day), &number);
    day_text(number + days, out);
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
