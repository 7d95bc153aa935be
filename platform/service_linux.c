#include "platform/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/machine_id.h"

enum { FIRST_PASSED_FD = 3 };

void platform_service_notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract namespace */

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, size);
    (void)sent; /* a manager that does not listen is not our trouble */
    close(fd);
}

static bool is_for_us(const char *pid_variable)
{
    const char *pid = getenv(pid_variable);
    return pid && strtol(pid, NULL, 10) == (long)getpid();
}

uint64_t platform_service_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    if (!usec || (getenv("WATCHDOG_PID") && !is_for_us("WATCHDOG_PID")))
        return 0;
    return strtoull(usec, NULL, 10) / 1000 / 2; /* sd_watchdog_enabled(3) asks for half */
}

size_t platform_service_sockets(int *fds, size_t max)
{
    const char *text = getenv("LISTEN_FDS");
    long count = text && is_for_us("LISTEN_PID") ? strtol(text, NULL, 10) : 0;
    size_t found = 0;
    for (long i = 0; i < count && found < max; i++) {
        int fd = FIRST_PASSED_FD + (int)i;
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
            continue;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fds[found++] = fd;
    }
    unsetenv("LISTEN_FDS"); /* children must not take them for theirs */
    unsetenv("LISTEN_PID");
    return found;
}

bool platform_machine_id(const char *root, char out[PLATFORM_MACHINE_ID_BYTES], struct error *err)
{
    return machine_id_of_file(root, out, err);
}

char *platform_program_dir(void)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return NULL;
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    return slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
}

const char *platform_service_command(enum platform_service_verb verb)
{
    static const char *const commands[] = {
        [PLATFORM_SERVICE_ENABLE] = "sudo systemctl enable --now claude-telemetry-agent",
        [PLATFORM_SERVICE_RESTART] = "sudo systemctl restart claude-telemetry-agent",
        [PLATFORM_SERVICE_RELOAD] = "sudo systemctl reload claude-telemetry-agent",
    };
    return commands[verb];
}
