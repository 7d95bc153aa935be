/* The subcommands: each returns the program's exit code and prints its own errors. */
#ifndef SERVER_COMMANDS_H
#define SERVER_COMMANDS_H

#include "base/clock.h"
#include "server/options.h"
#include "server/store/control.h"
#include "server/store/messages.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef int command(const struct options *options, const struct settings *settings);

command command_serve;
command command_system_create;
command command_system_list;
command command_token_create;
command command_token_list;
command command_token_revoke;
command command_secret_create;
command command_secret_list;
command command_secret_revoke;
command command_device_list;
command command_device_remove;
command command_user_create;
command command_user_list;
command command_user_role;
command command_user_password;
command command_user_logout;
command command_user_delete;
command command_import_run;
command command_import_status;
command command_retention_run;
command command_erase;
command command_backup;
command command_check_config;
command command_audit_list;
command command_audit_verify;

/* serve, by another clock and with housekeeping every `round_ms`: what command_serve() runs. */
int serve_with_clock(const struct settings *settings, const struct clock *clock, uint32_t round_ms);

/* Prints `err` and returns the exit code that its kind asks for. */
int command_fail(const struct error *err);

/* Writes to the audit log what this command is about to do, or has done. */
MUST_USE bool command_note(struct control_store *store, const char *action, const char *subject,
                           struct error *err);

/* NULL on failure, printed; with what to do about it. */
struct control_store *command_open_control(const struct settings *settings, struct error *err);
struct message_store *command_open_messages(const struct settings *settings, struct error *err);

#endif
