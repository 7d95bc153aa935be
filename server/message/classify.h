/* Which kind of Message a record is: CONTRACT section 4's table. Pure. */
#ifndef SERVER_MESSAGE_CLASSIFY_H
#define SERVER_MESSAGE_CLASSIFY_H

#include "server/message/attributes.h"
#include "server/message/message.h"

struct record_kind {
    enum message_type type;
    bool claude; /* Claude Code's own names and counting */
};

/* event_name, else `event.name`, else a body of the form "claude_code.<event>"; without that
 * prefix. Empty for a log that is no event. Borrowed from the record. */
struct bytes classify_log_name(const struct otlp_log *log);

/* The body only repeats the event's name. */
bool classify_body_is_name(const struct otlp_log *log);

struct record_kind classify_log(const struct attribute_set *set, struct bytes name,
                                struct bytes scope);
struct record_kind classify_span(const struct attribute_set *set, struct bytes name);

#endif
