/* A child process whose output is read. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/service.h"

extern char **environ;

/* Closed on exec, at once where the system can. */
static int make_pipe(int ends[2])
{
#if defined(__linux__)
    return pipe2(ends, O_CLOEXEC);
#else
    if (pipe(ends) != 0)
        return -1;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
#endif
}

bool platform_child_start(const char *const *argv, struct platform_child *out, struct error *err)
{
    int ends[2];
    if (make_pipe(ends) != 0)
        return error_set_os(err, errno, "cannot make a pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    pid_t pid = -1;
    int failure = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failure != 0) {
        close(ends[0]);
        return error_set_os(err, failure, "cannot run '%s'", argv[0]);
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *out = (struct platform_child){.pid = pid, .output_fd = ends[0]};
    return true;
}

ptrdiff_t platform_child_read(struct platform_child *child, void *out, size_t size)
{
    ssize_t got = read(child->output_fd, out, size);
    if (got >= 0)
        return got;
    return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

int platform_child_finish(struct platform_child *child, bool force)
{
    int status = 0;
    close(child->output_fd);
    if (force)
        kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
