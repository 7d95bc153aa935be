#include "server/router/note.h"

#include "server/store/audit.h"

bool route_note(struct control_store *control, const struct clock *clock,
                const struct route_call *call, const char *action, struct bytes subject,
                struct error *err)
{
    char source[SOURCE_BYTES];
    source_of_address(call->request->remote_address, source);
    const struct audit_note note = {.who = call->who.email,
                                    .role = role_name(call->who.role),
                                    .action = action,
                                    .source = source,
                                    .subject = subject};
    return audit_add(control, &note, clock_wall_ns(clock), err);
}

bool route_note_question(struct control_store *control, const struct clock *clock,
                         const struct route_call *call, const char *action, struct error *err)
{
    struct buffer subject = {.max_bytes = AUDIT_SUBJECT_BYTES};
    struct bytes path = call->request->path, query = call->request->query;
    /* A question longer than an entry is cut, not lost. */
    size_t room = AUDIT_SUBJECT_BYTES - 2;
    bool fits = buffer_append(&subject, bytes_make(path.data, path.len < room ? path.len : room));
    if (fits && query.len > 0 && subject.len < room) {
        room -= subject.len;
        fits = buffer_append_byte(&subject, '?') &&
               buffer_append(&subject, bytes_make(query.data, query.len < room ? query.len : room));
    }
    bool done = fits && route_note(control, clock, call, action, buffer_bytes(&subject), err);
    buffer_clear(&subject);
    return done;
}
