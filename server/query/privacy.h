/*
 * How much an answer tells about persons: one set of rules for the API, its CSV and the portal.
 *
 *   named         everything the role may see
 *   pseudonymous  one made-up name a person, the same everywhere; nobody can be asked for by name
 *   sums          of everybody, and nothing that tells people apart
 *   cohorts       those sums that at least PRIVACY_MIN_COHORT people stand behind, and nothing else
 *
 * In cohorts a figure must not follow from others either. Where a row is withheld, another one goes
 * with it, so that the whole less what is shown is still at least five people's; and a filter that
 * leaves out fewer than five is refused, since the difference to the answer without it would be
 * theirs. Two ranges of days can still be compared with each other: docs/http-api.md says so.
 */
#ifndef SERVER_QUERY_PRIVACY_H
#define SERVER_QUERY_PRIVACY_H

#include "server/router/router.h"
#include "server/store/messages.h"

enum privacy {
    PRIVACY_NAMED,
    PRIVACY_PSEUDONYMOUS,
    PRIVACY_SUMS,
    PRIVACY_COHORTS,
};

/* Whether people are told apart at all, under whatever names. */
static inline bool privacy_has_people(enum privacy privacy)
{
    return privacy < PRIVACY_SUMS;
}

const char *privacy_name(enum privacy privacy);
bool privacy_of_name(struct bytes name, enum privacy *out);

enum { PRIVACY_MIN_COHORT = 5 };

/*
 * The parameter `names`, or `viewers` (sums or cohorts) where the role sees no more than that.
 * FAIL_INVALID names the choices.
 */
MUST_USE bool privacy_read(const struct route_call *call, enum privacy viewers, enum privacy *out,
                           struct error *err);

/*
 * A row of a table about to be answered. `keys` are its coordinates: everything that tells it from
 * the other rows, as many for each row.
 */
struct privacy_row {
    int64_t people;
    const struct bytes *keys; /* borrowed */
    bool withheld;            /* out */
};

/* Marks what cohorts withhold; says how many rows. */
size_t privacy_withhold(struct privacy_row *rows, size_t count, size_t key_count);

/* FAIL_DENIED when one of the filters leaves out somebody, but fewer than five people. */
MUST_USE bool privacy_check_filters(struct message_store *messages,
                                    const struct message_query *where, struct error *err);

/* Whether there is an e-mail address in the text. */
bool privacy_has_address(struct bytes text);

/*
 * Copies the text with each e-mail address replaced by what `replace` appends for it (it gets the
 * address in lower case). False when `out` is full.
 */
typedef bool privacy_replace(void *context, struct bytes address, struct buffer *out);
MUST_USE bool privacy_mask(struct bytes text, privacy_replace *replace, void *context,
                           struct buffer *out);

#endif
