/* The rule at the end of a zone file: POSIX TZ, "CET-1CEST,M3.5.0,M10.5.0/3". Private. */
#ifndef SERVER_STORE_ZONE_RULE_H
#define SERVER_STORE_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct zone_change {
    enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } kind;
    int month, week, weekday; /* CHANGE_MONTH */
    int day;                  /* 1..365 without leap day (JULIAN), 0..365 with it (DAY) */
    int32_t time_s;           /* of the local day; may be negative or over 24 hours */
};

struct zone_rule {
    int32_t standard_s, summer_s; /* east of UTC */
    bool has_summer;
    struct zone_change begin, end; /* of summer time */
};

bool zone_rule_parse(struct bytes text, struct zone_rule *out);
int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t at_s);

#endif
