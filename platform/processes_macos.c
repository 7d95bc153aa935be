#include "platform/processes.h"

#include <libproc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>

#include "base/clock.h"
#include "base/memory.h"
#include "platform/procargs.h"

enum { MORE_PIDS = 64 };

/* What the process was started with. Other users' take root. */
static bool read_arguments(int pid, struct buffer *out)
{
    int name[] = {CTL_KERN, KERN_PROCARGS2, pid};
    int most_name[] = {CTL_KERN, KERN_ARGMAX}, most = 0;
    size_t size = sizeof most;
    if (sysctl(most_name, 2, &most, &size, NULL, 0) != 0 || most <= 0)
        return false;
    *out = (struct buffer){.max_bytes = (size_t)most};
    size = (size_t)most;
    if (!buffer_reserve(out, size) || sysctl(name, 3, out->data, &size, NULL, 0) != 0)
        return false;
    out->len = size;
    return true;
}

static bool visit_process(int pid, platform_process_visit *visit, void *context)
{
    struct proc_bsdinfo info;
    if (pid <= 0 || proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, &info, sizeof info) != (int)sizeof info)
        return true;
    struct platform_process seen = {.pid = pid,
                                    .uid = info.pbi_uid,
                                    .started_ns = info.pbi_start_tvsec * NS_PER_S +
                                                  info.pbi_start_tvusec * (NS_PER_S / 1000000)};
    char path[PROC_PIDPATHINFO_MAXSIZE];
    struct buffer arguments = {0};
    bool go_on = true;
    if (read_arguments(pid, &arguments))
        procargs_take_apart(buffer_bytes(&arguments), &seen);
    else if (proc_pidpath(pid, path, sizeof path) > 0)
        seen.command = bytes_make(path, strlen(path) + 1);
    if (seen.command.len > 0)
        go_on = visit(context, &seen);
    buffer_clear(&arguments);
    return go_on;
}

void platform_processes(const char *root, platform_process_visit *visit, void *context)
{
    if (root && root[0] && strcmp(root, "/") != 0)
        return;
    int room = proc_listallpids(NULL, 0) + MORE_PIDS; /* more may start meanwhile */
    int *pids = xcalloc((size_t)room, sizeof *pids);
    int count = proc_listallpids(pids, room * (int)sizeof *pids);
    bool go_on = true;
    for (int i = 0; go_on && i < count; i++)
        go_on = visit_process(pids[i], visit, context);
    free(pids);
}
