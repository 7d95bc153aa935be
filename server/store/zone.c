#include "server/store/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/memory.h"
#include "platform/fs.h"
#include "server/store/day.h"
#include "server/store/messages.h"
#include "server/store/zone_rule.h"

enum { DAY_S = 86400, HEADER_BYTES = 44, FILE_BYTES_MAX = 256 * 1024 };

struct zone {
    size_t count;
    int64_t *times;   /* of transitions, ascending */
    int32_t *offsets; /* offsets[i] holds from times[i] */
    int32_t first;    /* before the first transition */
    bool has_rule;    /* after the last one */
    struct zone_rule rule;
};

static int64_t big_endian(const uint8_t *at, size_t len)
{
    uint64_t value = len && at[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

struct header {
    size_t version, isut, isstd, leap, times, types, chars;
};

static bool read_header(struct bytes file, struct header *h)
{
    if (file.len < HEADER_BYTES || memcmp(file.data, "TZif", 4) != 0)
        return false;
    size_t *const counts[] = {&h->isut, &h->isstd, &h->leap, &h->times, &h->types, &h->chars};
    h->version = file.data[4];
    for (size_t i = 0; i < 6; i++) {
        int64_t count = big_endian(file.data + 20 + 4 * i, 4);
        if (count < 0 || count > FILE_BYTES_MAX)
            return false;
        *counts[i] = (size_t)count;
    }
    return h->types > 0;
}

static size_t block_bytes(const struct header *h, size_t time_bytes)
{
    return h->times * time_bytes + h->times + h->types * 6 + h->chars + h->leap * (time_bytes + 4) +
           h->isstd + h->isut;
}

static bool read_block(struct bytes block, const struct header *h, size_t time_bytes,
                       struct zone *zone)
{
    const uint8_t *times = block.data, *kinds = times + h->times * time_bytes;
    const uint8_t *types = kinds + h->times;
    zone->times = xcalloc(h->times + 1, sizeof *zone->times);
    zone->offsets = xcalloc(h->times + 1, sizeof *zone->offsets);
    zone->count = h->times;
    zone->first = (int32_t)big_endian(types, 4);
    for (size_t i = 0; i < h->times; i++) {
        if (kinds[i] >= h->types)
            return false;
        zone->times[i] = big_endian(times + i * time_bytes, time_bytes);
        zone->offsets[i] = (int32_t)big_endian(types + 6 * kinds[i], 4);
        if ((i && zone->times[i] <= zone->times[i - 1]) || zone->offsets[i] < -2 * DAY_S ||
            zone->offsets[i] > 2 * DAY_S)
            return false;
    }
    return zone->first >= -2 * DAY_S && zone->first <= 2 * DAY_S;
}

static bool parse(struct bytes file, struct zone *zone)
{
    struct header h;
    if (!read_header(file, &h))
        return false;
    size_t len = block_bytes(&h, 4);
    if (file.len - HEADER_BYTES < len)
        return false;
    if (h.version == 0)
        return read_block(bytes_make(file.data + HEADER_BYTES, len), &h, 4, zone);

    /* From version 2 on the same follows again with 64-bit times, then the rule as text. */
    file = bytes_make(file.data + HEADER_BYTES + len, file.len - HEADER_BYTES - len);
    if (!read_header(file, &h))
        return false;
    len = block_bytes(&h, 8);
    if (file.len - HEADER_BYTES < len ||
        !read_block(bytes_make(file.data + HEADER_BYTES, len), &h, 8, zone))
        return false;
    struct bytes footer = bytes_make(file.data + HEADER_BYTES + len, file.len - HEADER_BYTES - len);
    if (footer.len < 3 || footer.data[0] != '\n' || footer.data[footer.len - 1] != '\n')
        return footer.len == 2 || footer.len == 0;
    zone->has_rule = zone_rule_parse(bytes_make(footer.data + 1, footer.len - 2), &zone->rule);
    return zone->has_rule;
}

struct zone *zone_parse(struct bytes file, struct error *err)
{
    struct zone *zone = xcalloc(1, sizeof *zone);
    if (parse(file, zone))
        return zone;
    zone_destroy(zone);
    error_set(err, FAIL_CORRUPT, "the zone file is malformed");
    return NULL;
}

static bool is_zone_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 64 || name[0] == '/' || name[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '_' || c == '-' || c == '+';
        if (!allowed)
            return false;
    }
    return true;
}

bool zone_is_utc(const char *name)
{
    return !name || strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0;
}

struct zone *zone_create(const char *name, struct error *err)
{
    char path[128];
    struct buffer file = {.max_bytes = FILE_BYTES_MAX};
    struct zone *zone = NULL;
    if (zone_is_utc(name))
        return xcalloc(1, sizeof *zone);
    if (is_zone_name(name)) {
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
        struct error reading;
        if (fs_read_file(&fs_real, path, &file, &reading))
            zone = zone_parse(buffer_bytes(&file), &reading);
    }
    buffer_clear(&file);
    if (!zone) {
        error_set(err, FAIL_INVALID, "there is no time zone '%.64s'", name);
        error_remedy(err, "use a name like Europe/Berlin; the server needs the package tzdata");
    }
    return zone;
}

void zone_destroy(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->times);
    free(zone->offsets);
    free(zone);
}

int32_t zone_offset_s(const struct zone *zone, int64_t at_s)
{
    if (!zone)
        return 0;
    if (zone->has_rule && (zone->count == 0 || at_s >= zone->times[zone->count - 1]))
        return zone_rule_offset_s(&zone->rule, at_s);
    size_t low = 0, high = zone->count; /* the first transition after at_s */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? zone->offsets[low - 1] : zone->first;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* When a local date begins: usually its midnight, after a gap the first moment there is. */
static int64_t day_start(const struct zone *zone, int64_t day)
{
    int64_t local = day * DAY_S;
    int64_t early = local - zone_offset_s(zone, local - DAY_S);
    int64_t late = local - zone_offset_s(zone, local + DAY_S);
    int64_t low = (early < late ? early : late) - DAY_S / 2, high = low + 2 * DAY_S;
    /* Local dates never run backwards across this span but for a clock put back over
     * midnight, where the first of both counts. */
    if (early + zone_offset_s(zone, early) == local && early <= late)
        return early;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (middle + zone_offset_s(zone, middle) >= local)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int64_t zone_interval_start(const struct zone *zone, int interval, int64_t at_s)
{
    int32_t offset = zone_offset_s(zone, at_s);
    int64_t local = at_s + offset;
    int64_t day = floor_div(local, DAY_S);
    int64_t year;
    unsigned month, day_of_month;
    switch (interval) {
    case INTERVAL_HOUR:
        return floor_div(local, 3600) * 3600 - offset;
    case INTERVAL_WEEK: /* 1970-01-01 was a Thursday */
        return day_start(zone, day - ((day + 3) % 7 + 7) % 7);
    case INTERVAL_MONTH:
        calendar_date(day, &year, &month, &day_of_month);
        return day_start(zone, day - day_of_month + 1);
    default:
        return day_start(zone, day);
    }
}

void zone_interval_text(const struct zone *zone, int interval, int64_t start_s,
                        char out[ZONE_TEXT_BYTES])
{
    int32_t offset = zone_offset_s(zone, start_s);
    int64_t local = start_s + offset;
    char day[DAY_TEXT_BYTES];
    day_text(floor_div(local, DAY_S), day);
    if (interval != INTERVAL_HOUR) {
        snprintf(out, ZONE_TEXT_BYTES, "%s", day);
        return;
    }
    int hour = (int)((local % DAY_S + DAY_S) % DAY_S / 3600);
    int minute = (int)((local % 3600 + 3600) % 3600 / 60);
    int east = offset < 0 ? -offset : offset;
    if (offset == 0)
        snprintf(out, ZONE_TEXT_BYTES, "%sT%02d:%02d:00Z", day, hour, minute);
    else
        snprintf(out, ZONE_TEXT_BYTES, "%sT%02d:%02d:00%c%02d:%02d", day, hour, minute,
                 offset < 0 ? '-' : '+', east / 3600, east / 60 % 60);
}
