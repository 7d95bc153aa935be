/* What the commands that list things share: a JSON array of objects, or columns. */
#ifndef SERVER_COMMAND_LIST_H
#define SERVER_COMMAND_LIST_H

#include "core/json/writer.h"
#include "server/commands.h"
#include "server/query/instant.h"

struct list {
    bool json, many; /* many false: one object, not an array */
    struct buffer out;
    struct json_writer writer;
};

struct list *list_open(struct list *list, bool json, bool many); /* returns it */
void list_print(struct list *list);                              /* and clears it */

/* "2026-11-20" in `day`, or "never". */
const char *list_day(uint64_t time_ns, char day[INSTANT_DAY_BYTES]);

/* Closes the store, if any; the exit code. */
int command_finish(struct control_store *store, bool done, const struct error *err);

#endif
