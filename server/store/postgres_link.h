/* The inside of a connection, for postgres_db.c and postgres_query.c only. */
#ifndef SERVER_STORE_POSTGRES_LINK_H
#define SERVER_STORE_POSTGRES_LINK_H

#include <libpq-fe.h>

#include "server/store/postgres_db.h"

enum { PREPARED_MAX = 256 };

/* A statement that the server knows by its number. */
struct prepared {
    char *sql;
    unsigned number;
};

struct postgres_link {
    PGconn *pg;
    uint64_t until_ns; /* what runs is cancelled then; 0: no such moment */
    bool patient;      /* no limit at all */
    bool met_another;  /* the last failure: another transaction was in the way */
    bool stale;        /* to be closed rather than used again */
    struct prepared prepared[PREPARED_MAX]; /* by hash of the text, the next free place */
    unsigned prepared_count;
};

/* What is left of a statement's answers; `sent` false: that it could not even be sent. */
bool postgres_read_answers(struct postgres_link *link, bool sent, uint64_t limit_ns,
                           struct error *err);
/* Starts COPY … FROM STDIN: the server waits for data, then for postgres_read_answers(). */
bool postgres_begin_copy(struct postgres_link *link, const char *sql, uint64_t *limit_ns,
                         struct error *err);

void postgres_forget_prepared(struct postgres_link *link);

#endif
