/*
 * Looking at other programs that run: which, since when, and with which
 * environment where the caller's rights allow it.
 */
#ifndef PLATFORM_PROCESSES_H
#define PLATFORM_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Borrowed for the visit. */
struct platform_process {
    int pid;
    uint32_t uid;
    uint64_t started_ns;  /* wall clock; 0 where it cannot be told */
    struct bytes command; /* the arguments, each followed by a NUL; of Windows the program by its
                               * whole path first, and slashes of one kind */
    struct bytes environment; /* NAME=VALUE as it was at its start, each followed by a NUL */
    bool has_environment;     /* false: not ours to read */
};

/* Return false to stop. */
typedef bool platform_process_visit(void *context, const struct platform_process *process);

/*
 * Visits the processes that are visible below `root`. Linux: <root>/proc, proc(5); elsewhere a root
 * that is not the machine's own has none, and of other users' processes only who has the rights of
 * an administrator sees more than the program.
 */
void platform_processes(const char *root, platform_process_visit *visit, void *context);

/* Whose rights this process has; 0 is root. */
uint32_t platform_own_uid(void);

/* Whether it may look into everybody's files: root, and on Windows who has an administrator's rights
 * and uses them. */
bool platform_is_administrator(void);

#endif
