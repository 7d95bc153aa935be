/*
 * Evidence of which managed settings Claude Code obeys on a device: its own
 * `managed_settings_resolved` events, which carry the device of the token they
 * came with. (The heartbeat's `settings.sources` is what the agent worked out.)
 */
#ifndef SERVER_QUERY_POLICIES_H
#define SERVER_QUERY_POLICIES_H

#include "base/bytes.h"
#include "base/error.h"
#include "server/store/messages.h"

enum { POLICY_TEXT_BYTES = 256, POLICIES_SHOWN = 20 };

/* As the event says, "" where it says nothing. */
struct policy_sighting {
    uint64_t time_ns;
    char person[POLICY_TEXT_BYTES];
    char version[POLICY_TEXT_BYTES];  /* of Claude Code */
    char sources[POLICY_TEXT_BYTES];  /* "file", "hklm, file"; "none" where nothing is managed */
    char behavior[POLICY_TEXT_BYTES]; /* "first-wins" */
    char trigger[POLICY_TEXT_BYTES];  /* "startup", "change" */
};
typedef void policy_visit(void *context, const struct policy_sighting *sighting);

/* The newest POLICIES_SHOWN of the last 30 days, newest first. */
MUST_USE bool policies_read(struct message_store *messages, const char *device_id, uint64_t now_ns,
                            policy_visit *visit, void *context, struct error *err);

#endif
