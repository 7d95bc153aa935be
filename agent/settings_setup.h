/* From the configuration and the people on the machine to what settings_plan_create() takes. */
#ifndef AGENT_SETTINGS_SETUP_H
#define AGENT_SETTINGS_SETUP_H

#include "agent/accounts.h"
#include "agent/config.h"
#include "agent/settings/settings.h"
#include "base/arena.h"

struct settings_setup {
    struct settings_options options; /* borrows from all below and from config and accounts */
    struct claude_installs installs;
    struct arena arena;
};

/* `relay_port` is where the relay listens. False when a variable of direct mode has no value.
 * Clear it in any case. */
MUST_USE bool settings_setup_init(struct settings_setup *setup, const struct config *values,
                                  const char *root, struct accounts *accounts, uint16_t relay_port,
                                  const struct fs *fs, struct error *err);
void settings_setup_clear(struct settings_setup *setup);

#endif
