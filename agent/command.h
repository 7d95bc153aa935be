/*
 * The agent's command line: main.c reads it, one file per subcommand acts on it.
 * Each returns the exit code: 0 done, 1 failed or found problems, 2 wrong
 * usage or invalid configuration.
 */
#ifndef AGENT_COMMAND_H
#define AGENT_COMMAND_H

#include <stdbool.h>

#include "agent/config.h"
#include "base/error.h"

#define AGENT_PROGRAM "claude-telemetry-agent"
#define AGENT_VERSION CT_VERSION

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command_line {
    const char *action; /* "list" of `spool list`; NULL when none */
    const char *config; /* --config; NULL: the system's place */
    const char *root;   /* --root; "/" */
    const char *output; /* --output; NULL when none */
    bool json;
    bool dry_run;
    bool repair;
    bool brief;
    bool no_settings;
    bool print_markdown;
    bool print_jamf_schema;
};

int command_apply(const struct command_line *line);
int command_check_config(const struct command_line *line);
int command_enroll(const struct command_line *line);
int command_revert(const struct command_line *line);
int command_run(const struct command_line *line);
int command_spool(const struct command_line *line);
int command_status(const struct command_line *line);

/* Loads the configuration, or prints every problem and returns NULL: then exit with EXIT_USAGE. */
struct agent_config *command_load_config(const struct command_line *line);

/* Prints the error and returns EXIT_FAILED. */
int command_fail(const struct error *err);

#endif
