#include "platform/service.h"

#include <errno.h>
#include <fcntl.h>
#include <launch.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/memory.h"
#include "platform/machine_id.h"

/* launchd is told by exiting or not; KeepAlive in the job's list is its watchdog. */
void platform_service_notify(const char *text)
{
    (void)text;
}

uint64_t platform_service_watchdog_ms(void)
{
    return 0;
}

/* The sockets of "Listeners" in the job's Sockets dictionary; none when launchd did not start us. */
size_t platform_service_sockets(int *fds, size_t max)
{
    int *given = NULL;
    size_t count = 0, found = 0;
    if (launch_activate_socket("Listeners", &given, &count) != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (found == max) {
            close(given[i]);
            continue;
        }
        fcntl(given[i], F_SETFD, FD_CLOEXEC);
        fds[found++] = given[i];
    }
    free(given);
    return found;
}

/* The hardware's UUID: the same after the system is installed anew. */
bool platform_machine_id(const char *root, char out[PLATFORM_MACHINE_ID_BYTES], struct error *err)
{
    if (root && root[0] && strcmp(root, "/") != 0)
        return machine_id_of_file(root, out, err);
    uuid_t id;
    uuid_string_t text;
    const struct timespec no_wait = {0};
    if (gethostuuid(id, &no_wait) != 0)
        return error_set_os(err, errno, "cannot tell this machine's id");
    uuid_unparse_lower(id, text);
    snprintf(out, PLATFORM_MACHINE_ID_BYTES, "%s", text);
    return true;
}

char *platform_program_dir(void)
{
    char path[4096], resolved[PATH_MAX];
    uint32_t size = sizeof path;
    if (_NSGetExecutablePath(path, &size) != 0 || !realpath(path, resolved))
        return NULL;
    char *slash = strrchr(resolved, '/');
    return slash ? xstrndup(resolved, (size_t)(slash - resolved)) : NULL;
}

const char *platform_service_command(enum platform_service_verb verb)
{
    static const char bootstrap[] = "sudo launchctl bootstrap system "
                                    "/Library/LaunchDaemons/com.claude-telemetry.agent.plist";
    static const char *const commands[] = {
        [PLATFORM_SERVICE_ENABLE] = bootstrap,
        [PLATFORM_SERVICE_RESTART] =
            "sudo launchctl kickstart -k system/com.claude-telemetry.agent",
        [PLATFORM_SERVICE_RELOAD] = "sudo launchctl kill SIGHUP system/com.claude-telemetry.agent",
    };
    return commands[verb];
}
