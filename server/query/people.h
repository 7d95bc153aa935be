/*
 * Who people are to whoever looks: by name, by a pseudonym, or only in cohorts.
 * And the team each belongs to: what the newest request of the person says, remembered for some
 * minutes, so that sums by team come from the daily sums by person.
 * Any thread.
 */
#ifndef SERVER_QUERY_PEOPLE_H
#define SERVER_QUERY_PEOPLE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/query/fields.h"
#include "server/store/control.h"
#include "server/store/messages.h"

struct people;

/* Reads the key of pseudonyms from the control store, or makes one. NULL on failure. */
struct people *people_create(struct message_store *messages, struct control_store *control,
                             const struct clock *clock, struct error *err);
void people_destroy(struct people *people); /* NULL is fine */

/* The name to show, in the arena; empty stays empty. */
struct bytes people_name(const struct people *people, struct bytes person, enum privacy privacy,
                         struct arena *arena);

/*
 * A value of a row's field as it may be shown, in the arena: a person's name as above, what else
 * may tell people apart as a pseudonym of its own, and e-mail addresses in any text replaced.
 */
struct bytes people_value(const struct people *people, const struct field_use *field,
                          struct bytes value, enum privacy privacy, struct arena *arena);

/* Brings the teams up to date when they are older than some minutes. */
MUST_USE bool people_refresh(struct people *people, struct error *err);

/* The person's team, in the arena; empty when no record names one. */
struct bytes people_team(struct people *people, struct bytes person, struct arena *arena);

/* Everyone of a team, in the arena. */
MUST_USE bool people_of_team(struct people *people, struct bytes team, struct arena *arena,
                             struct bytes **out, size_t *count);

/* The distinct teams, sorted, in the arena. */
MUST_USE bool people_teams(struct people *people, struct arena *arena, struct bytes **out,
                           size_t *count);

#endif
