/*
 * The people whose records go to one destination, and what its templates
 * (headers, resource attributes) come out as for each of them.
 *
 * Index 0 is nobody in particular: the only one used where no template names a
 * variable of a person. Used from the forwarder's thread.
 */
#ifndef AGENT_RELAY_PEOPLE_H
#define AGENT_RELAY_PEOPLE_H

#include "agent/relay/relay.h"
#include "core/otlp/rewrite.h"

enum { PEOPLE_MAX = 256 };

struct person_values {
    char *user; /* as the spool keeps it: "local_user\0email" */
    size_t user_len;
    bool made;
    char **headers; /* "Name: value" lines, header_count of them */
    size_t header_count;
    struct otlp_stamp *stamps;
    size_t stamp_count;
    uint64_t headers_hash;
};

struct people {
    const struct relay_destination_options *options; /* borrowed */
    const struct relay_callbacks *callbacks;         /* borrowed */
    bool headers_personal, stamps_personal;
    struct person_values *entries;
    size_t count;
};

void people_init(struct people *p, const struct relay_destination_options *options,
                 const struct relay_callbacks *callbacks);
void people_clear(struct people *p);

/* Whether requests of different people must not be merged. */
bool people_differ(const struct people *p);

/* The index of `user`, added when new; 0 where people do not differ. False when the table is full.
 */
bool people_find(struct people *p, struct bytes user, unsigned *index);

/* The values for this person, expanded now if they are not yet. Borrowed until the next call. NULL
 * on failure. */
const struct person_values *people_values(struct people *p, unsigned index, struct error *err);

/* Expands anew, everybody's at their next use; true when this person's headers came out
 * differently. */
bool people_refresh(struct people *p, unsigned index, struct error *err);

/* Splits the stored form. Parts that are too long are cut. */
void person_of_user(struct bytes user, struct relay_person *out);

#endif
