/* Points in time as the API writes them: RFC 3339, or a date for its first moment in UTC. Pure. */
#ifndef SERVER_QUERY_INSTANT_H
#define SERVER_QUERY_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { INSTANT_DAY_BYTES = 11 };

/* "2026-05-01", "2026-05-01T10:00:00Z", "2026-05-01T10:00:00.5+02:00"; years 1970 to 2199. */
bool instant_parse(struct bytes text, uint64_t *unix_ns);

/* The UTC day of a moment: "2026-05-01". */
void instant_day(uint64_t unix_ns, char out[INSTANT_DAY_BYTES]);

/* A date alone. */
bool instant_parse_day(struct bytes text, uint64_t *unix_ns);

#endif
