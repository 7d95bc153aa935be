/* The part of a query string that both lists and aggregates share: filters, from, to. */
#ifndef SERVER_QUERY_FILTERS_H
#define SERVER_QUERY_FILTERS_H

#include "base/arena.h"
#include "base/error.h"
#include "server/query/privacy.h"
#include "server/router/arguments.h"
#include "server/store/messages.h"

/*
 * Fills `out`, in the arena, from every parameter that names a field, and from and to. A
 * repeated parameter matches any of its values; an empty one (type=) counts as not given. Other parameters must be in `others`
 * (NULL-terminated), else FAIL_INVALID names what is allowed.
 */
MUST_USE bool filters_read(const struct arguments *arguments, const char *const *others,
                           enum privacy privacy, uint32_t time_limit_ms, struct arena *arena,
                           struct message_query *out, struct error *err);

#endif
