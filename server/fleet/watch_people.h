/*
 * Who should be sending telemetry, and what of each is known: from the rows, from the devices' and
 * tokens' owners, and from what Anthropic's APIs report. Private to server/fleet.
 */
#ifndef SERVER_FLEET_WATCH_PEOPLE_H
#define SERVER_FLEET_WATCH_PEOPLE_H

#include "server/fleet/fleet.h"
#include "server/fleet/health.h"
#include "server/store/api_usage.h"

struct watched_person {
    char email[CONTROL_EMAIL_BYTES];
    char api_day[API_DAY_BYTES]; /* facts.api_day points here when it is visited */
    struct health_person facts;
};

struct watched_people {
    struct watched_person *items; /* one person may be there several times until they are visited */
    size_t count, capacity;
};

/* Valid until the next one is added. */
struct watched_person *watched_people_add(struct watched_people *people, const char *email);

/* Adds all that the stores know; `look_back` also those who have sent nothing for weeks. */
MUST_USE bool watched_people_gather(struct watched_people *people, const struct fleet_options *with,
                                    uint64_t now_ns, bool look_back, struct error *err);

/* Each once, with what was said of them together. */
void watched_people_visit(struct watched_people *people,
                          void (*visit)(void *context, const struct watched_person *person),
                          void *context);
void watched_people_clear(struct watched_people *people);

#endif
