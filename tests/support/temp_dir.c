#include "tests/support/temp_dir.h"

#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"

char *temp_dir_make(void)
{
    struct error err = {0};
    char unique[PLATFORM_UUID_BYTES];
    const char *base = getenv("TMPDIR");
    if (!base || !*base)
        base = getenv("TEMP"); /* Windows */
    platform_uuid(unique);
    char *path = xasprintf("%s/claude-telemetry-test-%s", base && *base ? base : "/tmp", unique);
    char *dir = platform_under_root("", path); /* with slashes of one kind */
    free(path);
    ck_assert_msg(fs_real.make_dir(NULL, dir, 0700, &err), "%s", err.cause);
    return dir;
}

struct names {
    char **list;
    size_t count;
};

static bool keep_name(void *context, const char *name)
{
    struct names *names = context;
    names->list = xrealloc(names->list, (names->count + 1) * sizeof *names->list);
    names->list[names->count++] = xstrdup(name);
    return true;
}

/* What is in a directory, with its path; nothing for a file. */
static struct names entries_of(const char *path)
{
    struct error ignored;
    struct fs_stat info;
    struct names names = {0};
    if (fs_real.stat(NULL, path, &info, &ignored) && info.is_directory)
        (void)!fs_real.list(NULL, path, keep_name, &names, &ignored);
    for (size_t i = 0; i < names.count; i++) {
        char *entry = xasprintf("%s/%s", path, names.list[i]);
        free(names.list[i]);
        names.list[i] = entry;
    }
    return names;
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static void remove_tree(const char *path)
{
    struct error ignored;
    struct names names = entries_of(path);
    for (size_t i = 0; i < names.count; i++)
        remove_tree(names.list[i]);
    names_clear(&names);
    (void)!fs_real.remove(NULL, path, &ignored);
}

bool temp_dir_holds(const char *dir, const char *text)
{
    struct error ignored;
    struct names names = entries_of(dir);
    struct buffer content = {.max_bytes = 256 * MIB};
    bool found = fs_read_file(&fs_real, dir, &content, &ignored) &&
                 bytes_contain(buffer_bytes(&content), text);
    for (size_t i = 0; i < names.count && !found; i++)
        found = temp_dir_holds(names.list[i], text);
    buffer_clear(&content);
    names_clear(&names);
    return found;
}

void temp_dir_remove(char *dir)
{
    if (!dir)
        return;
    remove_tree(dir);
    free(dir);
}
