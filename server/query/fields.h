/*
 * The fields of a Message row by the names the API gives them, what each may be
 * used for, and who may use it. Nothing a client sends reaches the store by
 * another way than through this table.
 */
#ifndef SERVER_QUERY_FIELDS_H
#define SERVER_QUERY_FIELDS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "server/query/privacy.h"
#include "server/store/messages.h"

struct field_use {
    enum message_field field;
    struct bytes metadata_key; /* with FIELD_METADATA; borrowed from the name */
};

enum field_purpose { FIELD_TO_FILTER, FIELD_TO_GROUP, FIELD_TO_MEASURE, FIELD_TO_COUNT_UNIQUE };

/*
 * Looks up "model", "metadata.user.name" or ActivityLog's "meta.user.name". FAIL_INVALID names
 * the fields there are for this purpose; FAIL_DENIED when what tells people apart is asked for
 * in cohorts, or one person's in pseudonyms.
 */
MUST_USE bool field_find(struct bytes name, enum field_purpose purpose, enum privacy privacy,
                         struct field_use *out, struct error *err);

/* Is `name` a field at all (other parameters share the query string with filters)? */
bool field_exists(struct bytes name);

/* Whether the field's values say nothing about who. */
bool field_is_impersonal(const struct field_use *use);

/* As the API writes it. */
const char *field_name(enum message_field field);

#endif
