/*
 * What all checks look at, read once before they run: the configuration, who is
 * on this machine, the installed and the running Claude Codes, everybody's
 * settings, what the agent says of itself. Nothing in it changes afterwards,
 * so any thread may read it; what goes over the network is in probe.h.
 */
#ifndef DOCTOR_SCENE_H
#define DOCTOR_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/accounts.h"
#include "agent/config.h"
#include "agent/enroll/device.h"
#include "agent/settings/claude.h"
#include "base/clock.h"
#include "doctor/settings_view.h"
#include "platform/fs.h"

struct probes;

/* What the agent's status file tells. */
struct scene_destination {
    char name[AGENT_NAME_BYTES];
    char state[24];
    char last_error[240];
    uint64_t backlog_records, set_aside_records, quarantined_records_total;
    uint64_t rejected_records_total;
};
struct scene_status {
    bool is_there;
    char problem[240]; /* why it could not be read; "" */
    uint16_t port;
    uint64_t updated_ns;
    char config_error[300];
    uint64_t spool_bytes, oldest_age_s, evicted_total;
    char relay_error[240];
    bool is_enrolled;
    char server_error[240];
    uint64_t heartbeat_interval_s;
    struct scene_destination destinations[AGENT_MAX_DESTINATIONS];
    size_t destination_count;
};

/* A Claude Code that runs now. */
struct scene_process {
    int pid;
    uint32_t uid;
    uint64_t started_ns;
};

enum { SCENE_MAX_VIEWS = 32 };

struct scene {
    const char *root;
    const char *config_path; /* as given; NULL: the system's place */
    const struct fs *fs;
    const struct clock *clock;
    uint32_t uid; /* whose rights this process has */
    bool is_privileged;
    const char *const *environment; /* of this process */

    struct config_problems problems; /* of the configuration; then `config` is NULL */
    struct agent_config *config;
    char *config_dir, *state_dir, *run_dir, *managed_dir;
    struct scene_status status;
    struct device device;
    bool has_device;
    bool is_device_hidden; /* whether there is one, only root can see */
    bool has_identity;     /* `accounts` is there */
    char users_problem[300];
    struct accounts *accounts;

    /* Of the agent that runs, where it may be read: NAME=VALUE, each followed by a NUL. */
    struct buffer agent_environment;
    bool has_agent_environment;

    struct claude_installs installs;
    struct scene_process *processes;
    size_t process_count;
    struct settings_view **views; /* one a person; at least one */
    size_t view_count;

    struct probes *probes; /* set by main */
};

struct scene_options {
    const char *root;
    const char *config_path;
    uint32_t uid;
    bool is_administrator;          /* also without the number of root */
    const char *const *environment; /* of this process */
    const char *project;            /* the current folder; NULL: none */
};

struct scene *scene_create(const struct scene_options *options, const struct fs *fs,
                           const struct clock *clock);
void scene_destroy(struct scene *scene);

/* The agent is installed and has a configuration of its own. */
bool scene_has_agent(const struct scene *scene);
/* The agent writes Claude Code's settings, so that `apply` repairs them. */
bool scene_agent_writes(const struct scene *scene);
/* Claude Code is to send to the relay on this machine. */
bool scene_uses_relay(const struct scene *scene);
/* Where the relay listens, as it says itself, else as configured. */
uint16_t scene_relay_port(const struct scene *scene);
/* Where Claude Code should post a signal; false when nothing tells. */
bool scene_expected_url(const struct scene *scene, const char *signal, struct buffer *out);
/* A signal the configuration asks Claude Code for. */
bool scene_wants_signal(const struct scene *scene, const char *signal);

/* "sudo claude-telemetry-agent VERB" with the options that make it work here. */
enum { SCENE_COMMAND_BYTES = 600 };
const char *scene_command(const struct scene *scene, const char *verb,
                          char out[SCENE_COMMAND_BYTES]);

#endif
