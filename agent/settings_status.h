/*
 * <run>/settings.json: what `apply`, run as root, tells the service, which may
 * neither write settings nor look into homes. For nobody else: 0600.
 */
#ifndef AGENT_SETTINGS_STATUS_H
#define AGENT_SETTINGS_STATUS_H

#include <stdint.h>

#include "agent/settings/claude.h"
#include "agent/settings/verdicts.h"
#include "base/error.h"
#include "core/json/writer.h"
#include "platform/fs.h"

/* Whose account is whose, as found with rights that the service has not. */
struct settings_person {
    char *local_user;
    char *email;
    char *source; /* identity_source_name() */
};

struct settings_status {
    uint64_t repairs_total;  /* files put back because somebody had changed them */
    uint64_t last_repair_ns; /* wall clock; 0: never */
    char last_diff[2048];    /* of that, secrets masked */
    char conflict_path[512]; /* a file that another program keeps rewriting; "" */
    uint64_t next_try_ns;    /* when it is put back again */
    char error[240];         /* why not all is as it should be; "" */
    struct claude_installs installs;
    struct settings_verdicts verdicts;
    struct settings_person *people; /* only those with an address */
    size_t person_count;
};

/* FAIL_NOT_FOUND when apply has not run. The caller clears `out` in any case. */
MUST_USE bool settings_status_read(const char *run_dir, const struct fs *fs,
                                   struct settings_status *out, struct error *err);

/* FAIL_NOT_FOUND when there is no <run>: then no service is running either. */
MUST_USE bool settings_status_write(const char *run_dir, const struct fs *fs,
                                    const struct settings_status *status, struct error *err);

void settings_status_clear(struct settings_status *status);

/* Appends "sources", the array of verdicts, into the open object. */
void settings_status_put_sources(const struct settings_verdicts *verdicts, struct json_writer *w);

#endif
