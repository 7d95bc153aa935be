/* Runs a program as a user, with a time limit and nothing of our own environment. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/platform.h"

enum { FIRST_OWN_FD = 3, MOST_FDS = 4096 };

/* In the child, between fork and exec: only calls that are safe there. */
static NO_RETURN void become(const struct platform_command *c, int output, char *const arguments[],
                             char *const environment[])
{
    int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0 ||
        dup2(output, STDOUT_FILENO) < 0)
        _exit(126);
    for (int fd = FIRST_OWN_FD; fd < MOST_FDS; fd++)
        close(fd);
    setsid(); /* with our terminal it could type commands into a shell of root's */
    if (geteuid() == 0) {
        gid_t group = (gid_t)c->gid;
        if (setgroups(1, &group) != 0 || setgid(group) != 0 || setuid((uid_t)c->uid) != 0)
            _exit(126);
    }
    if (chdir(c->home) != 0 && chdir("/") != 0)
        _exit(126);
    execve(c->program, arguments, environment);
    _exit(127);
}

/* Reads until the end of output. False with the reason when time or room runs out. */
static bool collect(int input, const struct platform_command *c, struct buffer *out,
                    struct error *err)
{
    uint64_t end_ns =
        platform_clock.monotonic_ns(platform_clock.context) + c->timeout_ms * NS_PER_MS;
    for (;;) {
        uint64_t now_ns = platform_clock.monotonic_ns(platform_clock.context);
        int left_ms = now_ns < end_ns ? (int)((end_ns - now_ns) / NS_PER_MS) + 1 : 0;
        struct pollfd wait = {.fd = input, .events = POLLIN};
        int ready = left_ms > 0 ? poll(&wait, 1, left_ms) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return error_set(err, FAIL_BUSY, "'%s' did not answer within %u ms", c->program,
                             (unsigned)c->timeout_ms);
        uint8_t piece[1024];
        ssize_t got = read(input, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        if (!buffer_append(out, bytes_make(piece, (size_t)got)))
            return error_set(err, FAIL_TOO_LARGE, "'%s' printed more than %zu bytes", c->program,
                             out->max_bytes);
    }
}

static bool check_status(const struct platform_command *c, int status, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return error_set(err, FAIL_NOT_FOUND, "'%s' cannot be run as '%s'", c->program, c->user);
    return error_set(err, FAIL_IO, "'%s' ended with %s %d", c->program,
                     WIFEXITED(status) ? "status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

bool platform_run_command(const struct platform_command *c, struct buffer *out, struct error *err)
{
    int ends[2];
    if (pipe(ends) != 0)
        return error_set_os(err, errno, "cannot run '%s'", c->program);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    char *home = xasprintf("HOME=%s", c->home), *user = xasprintf("USER=%s", c->user);
    char *logname = xasprintf("LOGNAME=%s", c->user);
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", locale[] = "LC_ALL=C.UTF-8";
    char *const bare[] = {home, user, logname, path, locale, NULL};
    char *const *environment = c->environment ? (char *const *)c->environment : bare;
    char *program = xstrdup(c->program), *argument = xstrdup(c->argument);
    char *option = xstrdup(c->option);
    char *const arguments[] = {program, option ? option : argument, option ? argument : NULL, NULL};

    pid_t child = fork();
    if (child == 0)
        become(c, ends[1], arguments, environment);
    bool ok = false;
    if (child < 0) {
        error_set_os(err, errno, "cannot run '%s'", c->program);
    } else {
        int status = 0;
        close(ends[1]);
        ends[1] = -1;
        ok = collect(ends[0], c, out, err);
        if (!ok && kill(-child, SIGKILL) != 0) /* what it started too */
            kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        ok = ok && check_status(c, status, err);
    }
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    free(home);
    free(user);
    free(logname);
    free(program);
    free(option);
    free(argument);
    return ok;
}
