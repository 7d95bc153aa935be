/* What a request did, written to the audit log under the name of who asks. */
#ifndef SERVER_ROUTER_NOTE_H
#define SERVER_ROUTER_NOTE_H

#include "base/clock.h"
#include "server/router/router.h"
#include "server/store/control.h"

/* `subject` is what it was done to. What cannot be written must not be answered. */
MUST_USE bool route_note(struct control_store *control, const struct clock *clock,
                         const struct route_call *call, const char *action, struct bytes subject,
                         struct error *err);

/* The same with the request's own path and query as the subject: what was asked for. */
MUST_USE bool route_note_question(struct control_store *control, const struct clock *clock,
                                  const struct route_call *call, const char *action,
                                  struct error *err);

#endif
