/*
 * A child process whose output the event loop watches. The loop watches sockets, and a pipe is
 * none here: a thread carries what comes out of the pipe to a pair of sockets.
 */
#include "platform/process_windows.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "platform/service.h"
#include "platform/socket.h"

struct carrier {
    struct process process;
    int into;
    pthread_t thread;
};

/* Ends with the pipe, or when nobody reads any more. */
static void *carry(void *context)
{
    enum { PIECE_BYTES = 4096 };
    struct carrier *c = context;
    char piece[PIECE_BYTES];
    DWORD got = 0;
    while (ReadFile(c->process.output, piece, sizeof piece, &got, NULL) && got > 0) {
        ptrdiff_t sent = 0;
        for (DWORD at = 0; at < got && sent >= 0; at += (DWORD)sent)
            sent = socket_write(c->into, piece + at, got - at);
        if (sent < 0)
            break;
    }
    socket_shut(c->into);
    return NULL;
}

bool platform_child_start(const char *const *argv, struct platform_child *out, struct error *err)
{
    struct carrier *c = xcalloc(1, sizeof *c);
    int pair[2];
    if (!socket_pair(pair, err))
        goto failed;
    c->into = pair[1];
    if (!socket_block(c->into, err) ||
        !process_start(argv, &(struct process_options){0}, &c->process, err))
        goto failed_with_pair;
    if (pthread_create(&c->thread, NULL, carry, c) != 0) {
        error_set(err, FAIL_IO, "cannot start a thread for the output of '%s'", argv[0]);
        process_finish(&c->process, true);
        CloseHandle(c->process.output);
        goto failed_with_pair;
    }
    *out = (struct platform_child){.pid = (int)GetProcessId(c->process.handle),
                                   .output_fd = pair[0],
                                   .system = c};
    return true;

failed_with_pair:
    socket_close(pair[0]);
    socket_close(pair[1]);
failed:
    free(c);
    return false;
}

ptrdiff_t platform_child_read(struct platform_child *child, void *out, size_t size)
{
    ptrdiff_t got = socket_read(child->output_fd, out, size);
    return got >= 0 ? got : got == SOCKET_AGAIN ? -1 : 0;
}

int platform_child_finish(struct platform_child *child, bool force)
{
    struct carrier *c = child->system;
    socket_close(child->output_fd); /* a carrier that waits for room is let go */
    int code = process_finish(&c->process, force);
    pthread_join(c->thread, NULL);
    CloseHandle(c->process.output);
    socket_close(c->into);
    free(c);
    return code;
}
