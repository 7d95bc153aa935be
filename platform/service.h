/*
 * How a long-running program lives with its system: the service manager's
 * requests, messages, sockets and watchdog, what identifies the machine, where
 * the program lies, and a child process whose output is read.
 */
#ifndef PLATFORM_SERVICE_H
#define PLATFORM_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Runs `body`, the program's whole life, and returns its exit code. On Windows, when the service
 * manager started the process: on the manager's thread, between its states, with standard error
 * going to a log file below the configuration's folder. Elsewhere simply calls it.
 */
int platform_service_run(int (*body)(void *context), void *context);

enum platform_request {
    PLATFORM_STOP,
    PLATFORM_RELOAD, /* read the configuration again */
};
typedef void platform_requested(void *context, enum platform_request request);

/* The signals by which this is asked for, 0 behind the last; the caller catches them. */
const int *platform_request_signals(enum platform_request request);

/*
 * From now on calls back, on a thread of the system's, when something other than a signal asks:
 * on Windows the service manager, Ctrl-C and the end of the console. NULL ends that; no call is
 * under way then.
 */
void platform_service_listen(platform_requested *callback, void *context);

/*
 * Tells the service manager, e.g. "READY=1" or "STOPPING=1". Does nothing where there is none.
 * systemd: one datagram to $NOTIFY_SOCKET, as sd_notify(3) describes. Windows: the service's state.
 */
void platform_service_notify(const char *text);

/* How often at least to send "WATCHDOG=1", in milliseconds; 0 when nobody watches. */
uint64_t platform_service_watchdog_ms(void);

/* Listening sockets that the service manager opened for this process; returns how many.
 * systemd: LISTEN_FDS and LISTEN_PID, sd_listen_fds(3). */
size_t platform_service_sockets(int *fds, size_t max);

/*
 * What stays the same as long as this installation of the system does, as the
 * system gives it: hash it before it leaves the machine. FAIL_NOT_FOUND where there is none.
 * Linux: <root>/etc/machine-id, machine-id(5). Below a --root that file everywhere: a sandbox is
 * a machine of its own.
 */
enum { PLATFORM_MACHINE_ID_BYTES = 129 };
MUST_USE bool platform_machine_id(const char *root, char out[PLATFORM_MACHINE_ID_BYTES],
                                  struct error *err);

/* The folder this program was started from. The caller frees; NULL when it cannot be told. */
char *platform_program_dir(void);

/* What a person types to do this to the agent's service; a constant. */
enum platform_service_verb {
    PLATFORM_SERVICE_ENABLE, /* and start */
    PLATFORM_SERVICE_RESTART,
    PLATFORM_SERVICE_RELOAD,
};
const char *platform_service_command(enum platform_service_verb verb);

/* Before a command that takes an administrator's rights: "sudo ", or "" where there is no such word. */
const char *platform_admin_prefix(void);

/* Whether the agent's service starts with the machine, where only the system can tell; else UNKNOWN. */
enum platform_service_state {
    PLATFORM_SERVICE_UNKNOWN,
    PLATFORM_SERVICE_MISSING,
    PLATFORM_SERVICE_DISABLED,
    PLATFORM_SERVICE_ENABLED,
};
enum platform_service_state platform_service_state(void);

struct platform_child {
    int pid;
    int output_fd; /* its standard output: for the event loop to watch */
    void *system;
};

/* Starts argv[0] (a path) with no input and its errors where ours go. */
MUST_USE bool platform_child_start(const char *const *argv, struct platform_child *out,
                                   struct error *err);

/* What it printed meanwhile: a count; 0 at the end of it; -1 when there is nothing now. */
ptrdiff_t platform_child_read(struct platform_child *child, void *out, size_t size);

/*
 * Waits for the end (after ending it by force, if asked) and closes the descriptor; its exit
 * code, or -1.
 */
int platform_child_finish(struct platform_child *child, bool force);

#endif
