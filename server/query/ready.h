/*
 * Can this server do its work now? Asked of the stores themselves, by writing: a full or read-only disk is
 * found before a request meets it.
 *
 *   GET /readyz ─▶ ready_check ─▶ free space, control store, message store (on its writer's thread)
 *
 * An answer holds for a few seconds. One caller asks at a time; the others get the last answer, and when
 * that is old, because the stores do not answer, that is what they are told. Any thread; may block.
 */
#ifndef SERVER_QUERY_READY_H
#define SERVER_QUERY_READY_H

#include "base/clock.h"
#include "platform/fs.h"
#include "server/ingest/ingest.h"
#include "server/store/control.h"
#include "server/store/messages.h"

struct ready;

struct ready_options {
    struct control_store *control; /* all borrowed */
    struct message_store *messages;
    struct ingest *ingest;
    const struct fs *fs;
    const char *data; /* the directory whose disk must have room */
    const struct clock *clock;
};

struct ready *ready_create(const struct ready_options *options);
void ready_destroy(struct ready *ready); /* NULL is fine */

enum { READY_WHY_BYTES = 512 };
/* False: `why` says what is wrong and what to do. */
bool ready_check(struct ready *ready, char why[READY_WHY_BYTES]);

#endif
