/*
 * The fleet's part of the control state: enrolment secrets, devices and their last heartbeat,
 * state changes, commands for devices and the doctor reports that answer them.
 *
 * A control store carries one `struct control_fleet_kind`; the rules of control.h hold (texts
 * copied in and out, times in wall clock nanoseconds, 0 means never, any thread, concurrent
 * processes).
 */
#ifndef SERVER_STORE_FLEET_H
#define SERVER_STORE_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct control_store;
struct control_token;

enum {
    FLEET_ID_BYTES = 64,
    FLEET_TEXT_BYTES = 128,
    FLEET_SUBJECT_BYTES = 320,
    FLEET_REASON_BYTES = 320,
    FLEET_HASH_BYTES = 32,
    FLEET_MAX_DOCUMENT_BYTES = 256 * 1024, /* heartbeats and doctor reports */
};

struct fleet_secret {
    int64_t id;
    int64_t system_id; /* devices enrolled with it report into this system */
    uint8_t sha256[FLEET_HASH_BYTES];
    char prefix[16];
    char note[FLEET_TEXT_BYTES];
    uint64_t created_ns, expires_ns, revoked_ns; /* expires_ns 0: never */
    uint64_t used_total;
};

struct fleet_device {
    int64_t id;
    char device_id[FLEET_ID_BYTES];     /* UUID, given at enrolment */
    char hardware_id[FLEET_TEXT_BYTES]; /* unique; names the machine across enrolments */
    int64_t system_id, token_id;        /* token_id: of the token in force */
    uint64_t token_created_ns;          /* of that one; read only */
    char hostname[FLEET_TEXT_BYTES], os[FLEET_TEXT_BYTES], os_version[FLEET_TEXT_BYTES];
    char arch[32], agent_version[64];
    char owner[256];       /* e-mail of its first user that has one; "" when none */
    uint64_t enrolled_ns;  /* the last enrolment */
    uint64_t last_seen_ns; /* heartbeat */
    uint64_t last_data_ns; /* telemetry stored */
    uint32_t interval_s;   /* heartbeat interval told to it */
    bool disconnected;     /* its last heartbeat was a goodbye */
    uint64_t sequence_num;
    uint64_t evicted_total, drift_repairs_total; /* as of the last heartbeat */
    uint64_t evicted_ns, evicted_delta; /* when records were last given up, and how many since it
                                           began */
    uint64_t drift_hour_ns,
        drift_hour_total;         /* where the hour began in which repairs are counted */
    uint64_t drift_repairs_delta; /* since then */
    uint64_t backlog_records,
        backlog_growing_ns; /* as of the last heartbeat; growing since, 0: not */
    int64_t clock_skew_s;
    /* What health_of_device() said last. */
    int state; /* enum health_state */
    char state_code[48];
    char state_reason[FLEET_REASON_BYTES];
    uint64_t state_since_ns;
};

struct fleet_flip {
    char subject[FLEET_SUBJECT_BYTES]; /* "device:<device_id>", "token:<id>", "importer:<name>" */
    char from[16], to[16], code[48], reason[FLEET_REASON_BYTES];
    uint64_t at_ns;
};

/* The present state of what is no device; devices carry their own. */
struct fleet_health {
    char subject[FLEET_SUBJECT_BYTES]; /* "token:<id>", "credential:<prefix>", "person:<email>",
                                          "integration:<name>", "importer:<report>" */
    char name[256];                    /* for people */
    int state;                         /* enum health_state */
    char code[48], reason[FLEET_REASON_BYTES], action[FLEET_REASON_BYTES];
    uint64_t since_ns; /* in this state */
    uint64_t last_seen_ns, last_data_ns;
};

struct fleet_health_changes {
    const struct fleet_health *put;
    size_t put_count;
    const struct fleet_flip *flips;
    size_t flip_count;
    const char *const *removed; /* subjects that are no more */
    size_t removed_count;
};

struct fleet_command {
    char id[FLEET_ID_BYTES]; /* UUID */
    int64_t device;
    char type[32]; /* "doctor" */
    uint64_t created_ns, sent_ns, done_ns;
};

/* Borrowed for the call. `heartbeat` is the last one's JSON, empty when none came. Return false to
 * stop. */
typedef bool fleet_device_visit(void *context, const struct fleet_device *device,
                                struct bytes heartbeat);
typedef bool fleet_secret_visit(void *context, const struct fleet_secret *secret);
typedef bool fleet_flip_visit(void *context, const struct fleet_flip *flip);
typedef bool fleet_health_visit(void *context, const struct fleet_health *health);
typedef bool fleet_command_visit(void *context, const struct fleet_command *command);

struct control_fleet_kind {
    bool (*secret_create)(struct control_store *store, const struct fleet_secret *secret,
                          struct error *err);
    bool (*secret_list)(struct control_store *store, fleet_secret_visit *visit, void *context,
                        struct error *err);
    /* FAIL_NOT_FOUND; revoked and expired ones are found too. Counts a use. */
    bool (*secret_use)(struct control_store *store, const uint8_t sha256[FLEET_HASH_BYTES],
                       struct fleet_secret *out, struct error *err);
    bool (*secret_revoke)(struct control_store *store, const char *prefix, uint64_t now_ns,
                          struct error *err);

    /*
     * Enrols `device` by its hardware_id. The same hardware again keeps its device_id (written to
     * *device) and takes the new token; the token before, and one that was offered, are revoked
     * at `now_ns`.
     */
    bool (*device_enroll)(struct control_store *store, struct fleet_device *device, uint64_t now_ns,
                          struct error *err);
    /*
     * Adds `token`, whose device_id is the device's id, as the one that will replace
     * device->token_id. One that was offered before and never used is deleted. FAIL_NOT_FOUND when
     * the device is gone or has another token by now.
     */
    bool (*device_token_offer)(struct control_store *store, const struct fleet_device *device,
                               const struct control_token *token, struct error *err);
    /*
     * Puts the offered token in force and revokes the one before it. FAIL_NOT_FOUND when it is not
     * pending (any more), or when the one before it was revoked: that ends both.
     */
    bool (*device_token_take)(struct control_store *store, int64_t token_id, uint64_t now_ns,
                              struct error *err);
    bool (*device_find)(struct control_store *store, const char *device_id,
                        fleet_device_visit *visit, void *context, struct error *err);
    /* FAIL_NOT_FOUND when no machine with this hardware_id has enrolled. */
    bool (*device_of_hardware)(struct control_store *store, const char *hardware_id,
                               struct fleet_device *out, struct error *err);
    bool (*device_of_token)(struct control_store *store, int64_t token_id, struct fleet_device *out,
                            struct error *err);
    bool (*device_list)(struct control_store *store, fleet_device_visit *visit, void *context,
                        struct error *err);
    /* Writes every field but the identity and enrolment ones, and the heartbeat when it is not
     * empty. */
    bool (*device_update)(struct control_store *store, const struct fleet_device *device,
                          struct bytes heartbeat, struct error *err);
    /* Writes what health_of_device() said, unless a heartbeat came since last_seen_ns: then
     * FAIL_NOT_FOUND, and that one's verdict stands. */
    bool (*device_judged)(struct control_store *store, const struct fleet_device *device,
                          struct error *err);
    /* Telemetry of the device that this token is or was of was stored. */
    bool (*device_data)(struct control_store *store, int64_t token_id, uint64_t now_ns,
                        struct error *err);
    /* Forgets the machine and revokes every token it had; FAIL_NOT_FOUND. */
    bool (*device_remove)(struct control_store *store, const char *device_id, uint64_t now_ns,
                          struct error *err);

    bool (*flip_add)(struct control_store *store, const struct fleet_flip *flip, struct error *err);
    /* Newest first; `subject` NULL: all. */
    bool (*flip_list)(struct control_store *store, const char *subject, uint32_t max,
                      fleet_flip_visit *visit, void *context, struct error *err);

    /* By subject. */
    bool (*health_list)(struct control_store *store, fleet_health_visit *visit, void *context,
                        struct error *err);
    /* All or nothing. */
    bool (*health_apply)(struct control_store *store, const struct fleet_health_changes *changes,
                         struct error *err);
    /* Forgets a person's state and its changes, and whose device is whose with that person. */
    bool (*health_forget)(struct control_store *store, const char *email, struct error *err);

    bool (*command_add)(struct control_store *store, const struct fleet_command *command,
                        struct error *err);
    /* Those not done, oldest first; marks them sent. */
    bool (*command_take)(struct control_store *store, int64_t device, uint64_t now_ns,
                         fleet_command_visit *visit, void *context, struct error *err);

    /* The newest report of a device replaces the one before; answers `command_id` when that is not
     * "". */
    bool (*report_put)(struct control_store *store, int64_t device, const char *command_id,
                       struct bytes report, uint64_t now_ns, struct error *err);
    /* FAIL_NOT_FOUND when there is none. */
    bool (*report_get)(struct control_store *store, int64_t device, struct buffer *out,
                       uint64_t *at_ns, struct error *err);
};

#endif
