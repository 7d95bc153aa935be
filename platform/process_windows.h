/* A child process with its output in a pipe, and a job that ends what it starts, too. For this
 * folder only. */
#ifndef PLATFORM_PROCESS_WINDOWS_H
#define PLATFORM_PROCESS_WINDOWS_H

#include "platform/windows_text.h"

struct process {
    HANDLE handle, job;
    HANDLE output; /* the end we read; the caller closes */
};

struct process_options {
    WCHAR *environment; /* NULL: ours, and its errors where ours go; else they go nowhere */
    const char *folder; /* where it starts; NULL: where we are */
    HANDLE user;        /* a token of whose process it becomes; NULL: ours */
};

MUST_USE bool process_start(const char *const *argv, const struct process_options *options,
                            struct process *out, struct error *err);

/* Waits for the end (after ending it by force, if asked); its exit code, or -1. */
int process_finish(struct process *process, bool force);

#endif
