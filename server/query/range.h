/* The days that daily answers are asked for: whole UTC days, `to` exclusive. Pure. */
#ifndef SERVER_QUERY_RANGE_H
#define SERVER_QUERY_RANGE_H

#include "server/router/arguments.h"

enum { RANGE_MAX_DAYS = 400, RANGE_DEFAULT_DAYS = 30 };

struct range {
    uint64_t from_ns, to_ns; /* of whole days, to_ns the first moment behind the last */
};

/*
 * Reads from and to, each a day or a time in it: `to` is the first day left out, and with the same
 * day twice that day is meant. Without `to` through today, without `from` the 30 days before `to`.
 * FAIL_INVALID says what is wrong with which.
 */
MUST_USE bool range_read(const struct arguments *arguments, uint64_t now_ns, struct range *out,
                         struct error *err);

#endif
