/* Asking whom Claude Code itself sends to, where that is not the relay on this machine. */
#ifndef DOCTOR_RECEIVER_H
#define DOCTOR_RECEIVER_H

#include "doctor/probe.h"

/* Whose settings decide, and what they send first. */
struct receiver {
    const struct settings_view *view;
    size_t view_index; /* in the scene */
    const char *signal;
    bool is_grpc;
};
/* False, with the reason, when there is nobody to ask. */
bool receiver_find(const struct scene *scene, struct receiver *out, const char **reason);

/* An empty export with the headers, proxy and certificates that Claude Code would use. */
void receiver_ask(const struct scene *scene, struct probe *out);

#endif
