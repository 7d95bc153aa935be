/* From the configuration to what relay_create() and relay_reload() take. */
#ifndef AGENT_RELAY_SETUP_H
#define AGENT_RELAY_SETUP_H

#include "agent/accounts.h"
#include "agent/config.h"
#include "agent/relay/relay.h"
#include "base/arena.h"
#include "core/config/config.h"

struct relay_setup {
    struct relay_options options; /* borrows from the arena and the config */
    struct arena arena;
};

/*
 * `state_dir` is where the spool lies unless the configuration says otherwise. Variables in URLs
 * are replaced here, once. False when one has no value. Clear it in any case.
 */
MUST_USE bool relay_setup_init(struct relay_setup *setup, const struct config *values,
                               const char *root, const char *state_dir, struct accounts *accounts,
                               struct error *err);
void relay_setup_clear(struct relay_setup *setup);

#endif
