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

void postgres_forget_prepared(struct postgres_link *link);

#endif
