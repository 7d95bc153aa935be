/*
 * One delta of a metric point, to be added to a person's day. Sums are in the
 * metric's own unit (tokens, USD, seconds, counts).
 */
#ifndef SERVER_MESSAGE_USAGE_H
#define SERVER_MESSAGE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/message/message.h"

/* Texts as in struct message. */
struct usage_delta {
    uint8_t key[MESSAGE_KEY_BYTES]; /* series, start, time: the same point again adds nothing */
    uint64_t time_ns;               /* its UTC day is the day it counts for */
    struct bytes person, session_id, model;
    enum message_person_rank person_rank;
    struct bytes account_uuid, account_id;
    struct bytes metric;     /* "claude_code.token.usage" ... */
    struct bytes attributes; /* the point's own attributes, "query_source=main,type=input", sorted;
                                for breakdowns; without person, session and model */
    double value;            /* delta, or the running total when `cumulative` */
    bool cumulative;         /* the store differences it against the series' last point */
    uint8_t series[16];      /* hash of system, resource, scope, metric, attributes */
    uint64_t start_ns;
};

#endif
