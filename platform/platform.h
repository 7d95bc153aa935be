/*
 * Everything the programs ask of an operating system. One file per system
 * implements it: linux.c, macos.c, windows.c; what Linux and macOS share is in
 * posix.c. No other folder tests for an operating system.
 */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

/* The machine's clocks. */
extern const struct clock platform_clock;

/* Fills `out` from the system's generator; stops the program if there is none. */
void platform_random(void *out, size_t len);

/* A random version 4 UUID in text form, with its NUL. */
enum { PLATFORM_UUID_BYTES = 37 };
void platform_uuid(char out[PLATFORM_UUID_BYTES]);

/*
 * Places below `root` ("" or "/" for the real machine). Each returns a new
 * string of the caller's, e.g. "/etc/claude-telemetry".
 */
char *platform_config_dir(const char *root);      /* agent.yaml, secrets */
char *platform_state_dir(const char *root);       /* spool, device token */
char *platform_first_state_dir(const char *root); /* what apply saw; never the service's to write */
char *platform_run_dir(const char *root);         /* status.json, gone at reboot */
char *
platform_claude_managed_dir(const char *root); /* Claude Code's managed-settings.json lives here */

/* `path` below `root`: absolute system paths never leave it. The caller frees. */
char *platform_under_root(const char *root, const char *path);

/* This machine's name. Truncated to fit, always terminated. */
void platform_hostname(char *out, size_t size);

struct platform_os {
    char name[16];    /* "linux", "darwin", "windows", as OpenTelemetry's os.type */
    char version[96]; /* "Debian GNU/Linux 12 (bookworm)" */
    char arch[16];    /* "amd64", "arm64", as OpenTelemetry's host.arch */
};
void platform_os(struct platform_os *out);

/* Whether an ARM processor has the CRC-32C instructions; false on others. */
bool platform_cpu_has_crc32c(void);

/*
 * Gives back memory that a burst of work, or starting up, left resident and
 * idling does not need: freed heap, and pages of program text, which come back
 * from the page cache when they are used again. A few milliseconds; any thread.
 */
void platform_trim_memory(void);

/* Lets the calling thread wait when others want the processor: for work that nobody's data waits
 * for. Where the system refuses, nothing changes. */
void platform_thread_step_back(void);

/* Who owns the other end of a TCP connection made on this machine. */
struct platform_socket_owner {
    uint32_t uid;
};

/*
 * `local` and `remote` as the accepting side sees them: struct sockaddr of
 * AF_INET or AF_INET6. False (FAIL_NOT_FOUND) when the owner cannot be told
 * for certain: the peer has closed, lives in another network namespace, or the
 * system gives no answer. Never guess from a false.
 * Linux: sock_diag by exact 4-tuple, believed only while ESTABLISHED with an inode.
 */
MUST_USE bool platform_socket_owner(const void *local, const void *remote,
                                    struct platform_socket_owner *out, struct error *err);

/* A program to run on somebody's behalf. */
struct platform_command {
    const char *program;  /* an absolute path */
    const char *option;   /* comes before `argument`; NULL: none */
    const char *argument; /* NULL: none */
    const char *user;     /* whose rights it gets when we have more; named in USER */
    uint32_t uid, gid;
    const char *home; /* HOME and the folder it starts in */
    /* "NAME=VALUE", NULL-terminated, where it is to see more than the bare one; or NULL. Never
     * ours on behalf of somebody else. Not used on Windows. */
    const char *const *environment;
    uint32_t timeout_ms;
};

/*
 * Runs it and appends what it prints to `out`, up to the ceiling. Its input and
 * messages go nowhere, it has no terminal, and the bare environment holds HOME, USER,
 * LOGNAME, PATH and LC_ALL only. False when it fails, prints too much, or is not done in time:
 * then it and its children are killed. Blocks for that long.
 */
MUST_USE bool platform_run_command(const struct platform_command *command, struct buffer *out,
                                   struct error *err);

#endif
