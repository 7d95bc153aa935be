/*
 * An array as one parameter: many rows go to PostgreSQL in one statement, `unnest($1, $2)`.
 * Private to the postgres files. All-zero but `kind` is an empty array.
 */
#ifndef SERVER_STORE_POSTGRES_ARRAY_H
#define SERVER_STORE_POSTGRES_ARRAY_H

#include "server/store/postgres_db.h"

enum { POSTGRES_TYPE_BIGINTS = 1016 };

enum postgres_array_kind { ARRAY_INT, ARRAY_DOUBLE, ARRAY_TEXT, ARRAY_BLOB };

struct postgres_array {
    enum postgres_array_kind kind;
    struct buffer wire; /* private: as it is sent */
    uint32_t count;
    bool failed; /* larger than a parameter may be: said when it is bound */
};

void postgres_array_int(struct postgres_array *array, int64_t number);
void postgres_array_double(struct postgres_array *array, double number);
void postgres_array_bytes(struct postgres_array *array, struct bytes value); /* TEXT and BLOB */

/* Binds it, borrowed until the statement has run. False (FAIL_TOO_LARGE) for more than fits. */
bool postgres_bind_array(struct postgres_query *query, int at, struct postgres_array *array,
                         struct error *err);
/* As it is sent, for postgres_bind_raw(); false as above. */
bool postgres_array_wire(struct postgres_array *array, struct bytes *wire, struct error *err);
void postgres_array_reset(struct postgres_array *array);
void postgres_array_clear(struct postgres_array *array);

#endif
