#include "platform/processes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"

enum { MAX_TEXT_BYTES = 2 * 1024 * 1024, START_TIME_FIELD = 22 };

struct look {
    const char *proc;
    uint64_t boot_s;
    platform_process_visit *visit;
    void *context;
};

/* Files of /proc have no size: read until the end. */
static bool read_text(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return false;
    buffer_reset(out);
    bool ok = true;
    while (ok && buffer_reserve(out, 4096)) {
        size_t got = fread(out->data + out->len, 1, 4096, file);
        out->len += got;
        if (got == 0)
            break;
    }
    ok = !ferror(file) && buffer_text(out) != NULL;
    fclose(file);
    return ok;
}

static uint64_t boot_time_s(const char *proc)
{
    struct buffer text = {.max_bytes = MAX_TEXT_BYTES};
    char *path = xasprintf("%s/stat", proc);
    uint64_t boot = 0;
    if (read_text(path, &text)) {
        const char *line = strstr(buffer_text(&text), "btime ");
        boot = line ? strtoull(line + 6, NULL, 10) : 0;
    }
    free(path);
    buffer_clear(&text);
    return boot;
}

/* The 22nd field, counted behind the name, which may itself hold blanks and brackets. */
static uint64_t started_ns(const char *stat, uint64_t boot_s)
{
    const char *at = strrchr(stat, ')');
    long ticks = sysconf(_SC_CLK_TCK);
    for (int field = 2; at && field < START_TIME_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    if (!at || boot_s == 0 || ticks <= 0)
        return 0;
    uint64_t start = strtoull(at + 1, NULL, 10);
    return boot_s * NS_PER_S + start * (NS_PER_S / (uint64_t)ticks);
}

static bool visit_process(void *context, const char *name)
{
    struct look *look = context;
    struct buffer command = {.max_bytes = MAX_TEXT_BYTES};
    struct buffer environment = {.max_bytes = MAX_TEXT_BYTES};
    struct buffer stat = {.max_bytes = MAX_TEXT_BYTES};
    struct fs_stat folder;
    struct error ignored;
    if (!isdigit((unsigned char)name[0]))
        return true;
    char *dir = xasprintf("%s/%s", look->proc, name);
    char *command_path = xasprintf("%s/cmdline", dir);
    char *environment_path = xasprintf("%s/environ", dir);
    char *stat_path = xasprintf("%s/stat", dir);
    bool go_on = true;

    if (read_text(command_path, &command) && command.len > 0 &&
        fs_real.stat(fs_real.disk, dir, &folder, &ignored)) {
        struct platform_process process = {.pid = atoi(name), .uid = folder.uid};
        process.command = buffer_bytes(&command);
        if (read_text(stat_path, &stat))
            process.started_ns = started_ns(buffer_text(&stat), look->boot_s);
        process.has_environment = read_text(environment_path, &environment);
        process.environment = buffer_bytes(&environment);
        go_on = look->visit(look->context, &process);
    }
    free(stat_path);
    free(environment_path);
    free(command_path);
    free(dir);
    buffer_clear(&stat);
    buffer_clear(&environment);
    buffer_clear(&command);
    return go_on;
}

void platform_processes(const char *root, platform_process_visit *visit, void *context)
{
    struct error ignored;
    char *proc = platform_under_root(root, "/proc");
    struct look look = {proc, boot_time_s(proc), visit, context};
    (void)!fs_real.list(fs_real.disk, proc, visit_process, &look, &ignored);
    free(proc);
}
