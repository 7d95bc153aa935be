/*
 * <run>/settings.json: what `apply`, run as root, tells the service, which may
 * neither write settings nor look into homes.
 */
#ifndef AGENT_SETTINGS_STATUS_H
#define AGENT_SETTINGS_STATUS_H

#include <stdint.h>

#include "agent/settings/claude.h"
#include "base/error.h"
#include "platform/fs.h"

struct settings_status {
    uint64_t repairs_total; /* files written since the folder was made */
    char error[240];        /* why not all is as it should be; "" */
    struct claude_installs installs;
};

/* FAIL_NOT_FOUND when apply has not run. The caller clears `out` in any case. */
MUST_USE bool settings_status_read(const char *run_dir, const struct fs *fs,
                                   struct settings_status *out, struct error *err);

/* FAIL_NOT_FOUND when there is no <run>: then no service is running either. */
MUST_USE bool settings_status_write(const char *run_dir, const struct fs *fs,
                                    const struct settings_status *status, struct error *err);

void settings_status_clear(struct settings_status *status);

#endif
