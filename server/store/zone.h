/*
 * Time zones by IANA name, read from the system's zone files (RFC 9636, "TZif")
 * rather than through TZ, which belongs to the whole process. Correct across
 * daylight saving: the rule behind the file's last transition is applied too.
 */
#ifndef SERVER_STORE_ZONE_H
#define SERVER_STORE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct zone;

/* Whether a question in the zone of this name (NULL: none said) needs no zone. */
bool zone_is_utc(const char *name);

/* NULL or "UTC" needs no file. The caller destroys. NULL (FAIL_INVALID) for an unknown name. */
struct zone *zone_create(const char *name, struct error *err);

/* From a file's content: zone_create() without the file. */
struct zone *zone_parse(struct bytes file, struct error *err);
void zone_destroy(struct zone *zone);

/* Seconds east of UTC at a time (seconds since 1970). NULL is UTC. */
int32_t zone_offset_s(const struct zone *zone, int64_t at_s);

/* When the hour, day, week (from Monday) or month that holds `at_s` begins; `interval` is an enum
 * aggregate_interval. */
int64_t zone_interval_start(const struct zone *zone, int interval, int64_t at_s);

/* "2026-05-01", for hours "2026-05-01T13:00:00+02:00" ("Z" when the offset is 0). */
enum { ZONE_TEXT_BYTES = 40 };
void zone_interval_text(const struct zone *zone, int interval, int64_t start_s,
                        char out[ZONE_TEXT_BYTES]);

#endif
