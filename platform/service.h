/*
 * How a long-running program lives with its system: the service manager's
 * messages, sockets and watchdog, what identifies the machine, where the
 * program lies, and a child process whose output is read.
 */
#ifndef PLATFORM_SERVICE_H
#define PLATFORM_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Tells the service manager, e.g. "READY=1" or "STOPPING=1". Does nothing where there is none.
 * systemd: one datagram to $NOTIFY_SOCKET, as sd_notify(3) describes.
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
 * Linux: <root>/etc/machine-id, machine-id(5).
 */
enum { PLATFORM_MACHINE_ID_BYTES = 129 };
MUST_USE bool platform_machine_id(const char *root, char out[PLATFORM_MACHINE_ID_BYTES],
                                  struct error *err);

/* The folder this program was started from. The caller frees; NULL when it cannot be told. */
char *platform_program_dir(void);

struct platform_child {
    int pid;
    int output_fd; /* its standard output, not blocking; the caller closes */
};

/* Starts argv[0] (a path) with no input and its errors where ours go. */
MUST_USE bool platform_child_start(const char *const *argv, struct platform_child *out,
                                   struct error *err);

/* Waits for the end (after ending it by force, if asked); its exit code, or -1. */
int platform_child_finish(struct platform_child *child, bool force);

#endif
