/*
 * What enrolment gave this device, kept in <state>/device.json, readable only
 * by the agent's user; and the id of its hardware.
 */
#ifndef AGENT_ENROLL_DEVICE_H
#define AGENT_ENROLL_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "platform/fs.h"

enum {
    DEVICE_ID_BYTES = 128,
    DEVICE_TOKEN_BYTES = 512,
    DEVICE_URL_BYTES = 512,
    DEVICE_HARDWARE_BYTES = 65,
};

struct device {
    char id[DEVICE_ID_BYTES];
    char token[DEVICE_TOKEN_BYTES];
    char hardware_id[DEVICE_HARDWARE_BYTES]; /* whose they are; "" in files of earlier versions */
    char server_url[DEVICE_URL_BYTES];   /* who gave them; another server means enrolling again */
    uint32_t heartbeat_interval_seconds; /* 0: not told */
};

/* FAIL_NOT_FOUND when this device was never enrolled, FAIL_CORRUPT when the file is damaged. */
MUST_USE bool device_load(const struct fs *fs, const char *state_dir, struct device *out,
                          struct error *err);

/* Durable, mode 0600, owned by who owns the folder. Makes it, mode 0700, when it is missing. */
MUST_USE bool device_save(const struct fs *fs, const char *state_dir, const struct device *device,
                          struct error *err);

/* Whether a text may stand in a header: printable ASCII without blanks, not empty. */
bool device_token_is_sound(const char *token);

/*
 * An id that stays as long as the system's installation: its machine id, keyed
 * and hashed so that it cannot be matched with other programs' use of it. Where the
 * system has none, a random one that is kept in <state>/hardware-id.
 */
MUST_USE bool device_hardware_id(const struct fs *fs, const char *root, const char *state_dir,
                                 char out[DEVICE_HARDWARE_BYTES], struct error *err);

#endif
