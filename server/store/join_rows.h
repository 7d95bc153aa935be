/* Which rows are one: what every kind decides alike when it puts. Private to server/store. */
#ifndef SERVER_STORE_JOIN_ROWS_H
#define SERVER_STORE_JOIN_ROWS_H

#include "server/message/message.h"

/* Whether what joining gave is what there was, so that nothing need be written. */
bool join_changes_nothing(const struct message *was, const struct message *joined);

/*
 * How far the end of a row of the same weak join hash lies from the message's, in nanoseconds; -1
 * when the two are not one. Of the row only sources, time_ns and duration_ms are looked at.
 */
int64_t join_distance(const struct message *row, const struct message *message);

#endif
