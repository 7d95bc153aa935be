/*
 * What a process was started with, as macOS gives it to sysctl(3) for KERN_PROCARGS2: an int, the count of the
 * arguments; the program's path, and padding; the arguments; the environment. Each text has its NUL.
 */
#ifndef PLATFORM_PROCARGS_H
#define PLATFORM_PROCARGS_H

#include "platform/processes.h"

/* Sets `out->command` and `->environment`, borrowed from `all`; leaves them alone when there is nothing. */
void procargs_take_apart(struct bytes all, struct platform_process *out);

#endif
