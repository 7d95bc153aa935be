#include "agent/settings/claude.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "platform/platform.h"

enum { MAX_INSTALLS = 256, MAX_MANIFEST_BYTES = 1024 * 1024, MAX_NAMES = 1024 };

bool claude_version_parse(const char *text, struct claude_version *out)
{
    unsigned parts[3];
    const char *at = text;
    for (int i = 0; i < 3; i++) {
        if (i > 0 && *at++ != '.')
            return false;
        if (*at < '0' || *at > '9')
            return false;
        char *end;
        unsigned long part = strtoul(at, &end, 10);
        if (part > 1000000)
            return false;
        parts[i] = (unsigned)part;
        at = end;
    }
    if (*at != '\0' && *at != '-' && *at != '+')
        return false;
    *out = (struct claude_version){parts[0], parts[1], parts[2]};
    return true;
}

int claude_version_compare(struct claude_version a, struct claude_version b)
{
    const unsigned x[] = {a.major, a.minor, a.patch}, y[] = {b.major, b.minor, b.patch};
    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

bool claude_all_at_least(const struct claude_installs *installs, struct claude_version least)
{
    for (size_t i = 0; i < installs->count; i++)
        if (!installs->list[i].known ||
            claude_version_compare(installs->list[i].version, least) < 0)
            return false;
    return true;
}

void claude_installs_clear(struct claude_installs *installs)
{
    for (size_t i = 0; i < installs->count; i++)
        free(installs->list[i].path);
    free(installs->list);
    *installs = (struct claude_installs){0};
}

struct search {
    const char *root;
    const struct fs *fs;
    struct claude_installs *out;
};

static void add(struct search *s, const char *path, const char *version)
{
    struct claude_install found = {0};
    found.known = version && claude_version_parse(version, &found.version);
    for (size_t i = 0; i < s->out->count; i++)
        if (strcmp(s->out->list[i].path, path) == 0)
            return;
    if (s->out->count >= MAX_INSTALLS)
        return;
    found.path = xstrdup(path);
    s->out->list = xrealloc(s->out->list, (s->out->count + 1) * sizeof *s->out->list);
    s->out->list[s->out->count++] = found;
}

static bool exists(const struct search *s, const char *path, struct fs_stat *info)
{
    struct error ignored;
    return s->fs->stat(s->fs->disk, path, info, &ignored);
}

/* An npm package folder: its package.json names the version. */
static void look_at_package(struct search *s, const char *modules)
{
    char *package = xasprintf("%s/@anthropic-ai/claude-code", modules);
    char *manifest = xasprintf("%s/package.json", package);
    static const char *const version[] = {"version"};
    struct buffer text = {.max_bytes = MAX_MANIFEST_BYTES};
    struct buffer value = {.max_bytes = 64};
    struct bytes raw = {0};
    struct fs_stat info;
    struct error err;
    if (exists(s, manifest, &info)) {
        bool told = fs_read_file(s->fs, manifest, &text, &err) &&
                    json_edit_find(buffer_bytes(&text), version, 1, &raw, &err) && raw.len > 2 &&
                    raw.data[0] == '"' &&
                    json_string_decode(bytes_make(raw.data + 1, raw.len - 2), &value);
        add(s, package, told ? buffer_text(&value) : NULL);
    }
    buffer_clear(&text);
    buffer_clear(&value);
    free(manifest);
    free(package);
}

struct names {
    char *list[MAX_NAMES];
    size_t count;
};

static bool remember_name(void *context, const char *name)
{
    struct names *names = context;
    if (names->count < MAX_NAMES && name[0] != '.')
        names->list[names->count++] = xstrdup(name);
    return names->count < MAX_NAMES;
}

/* Calls `look` with "<dir>/<each entry>/<below>". */
static void each_entry(struct search *s, const char *dir, const char *below,
                       void (*look)(struct search *, const char *))
{
    struct names *names = xcalloc(1, sizeof *names);
    struct error ignored;
    (void)!s->fs->list(s->fs->disk, dir, remember_name, names, &ignored);
    for (size_t i = 0; i < names->count; i++) {
        char *path = xasprintf("%s/%s%s", dir, names->list[i], below);
        look(s, path);
        free(path);
        free(names->list[i]);
    }
    free(names);
}

/* A program of the native installer: the file's name is the version. */
static void look_at_native(struct search *s, const char *path)
{
    struct claude_version ignored;
    const char *name = strrchr(path, '/') + 1;
    if (claude_version_parse(name, &ignored))
        add(s, path, name);
}

/* Where a link leads, below the root. NULL when it says nothing. */
static char *link_target(struct search *s, const char *link)
{
    char *target = NULL;
    struct error ignored;
    if (!s->fs->read_link(s->fs->disk, link, &target, &ignored))
        return NULL;
    char *path = target[0] == '/'
                     ? platform_under_root(s->root, target)
                     : xasprintf("%.*s/%s", (int)(strrchr(link, '/') - link), link, target);
    free(target);
    return path;
}

/* A folder that programs are found in: "claude" there may stand for an installation elsewhere. */
static void look_at_bin(struct search *s, const char *dir)
{
    static const char package[] = "/@anthropic-ai/claude-code/";
    char *path = xasprintf("%s/claude", dir);
    struct fs_stat info;
    if (exists(s, path, &info) && info.is_symlink) {
        char *target = link_target(s, path);
        char *within = target ? strstr(target, package) : NULL;
        if (within) {
            *within = '\0';
            look_at_package(s, target);
        } else if (target && exists(s, target, &info) && !info.is_directory) {
            const char *name = strrchr(target, '/') + 1;
            add(s, target, name); /* a name that is no version leaves it unknown */
        }
        free(target);
    } else if (exists(s, path, &info) && info.is_regular) {
        add(s, path, NULL); /* nothing beside it says which version */
    }
    free(path);
}

static void look_below(struct search *s, const char *prefix,
                       void (*look)(struct search *, const char *), const char *path)
{
    char *whole = xasprintf("%s%s", prefix, path);
    look(s, whole);
    free(whole);
}

static void look_in_home(struct search *s, const char *home)
{
    static const char *const modules[] = {"/node_modules",
                                          "/.npm-global/lib/node_modules",
                                          "/.local/lib/node_modules",
                                          "/.claude/local/node_modules",
                                          "/.bun/install/global/node_modules",
                                          "/.npm-packages/lib/node_modules"};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        look_below(s, home, look_at_package, modules[i]);

    static const struct {
        const char *dir, *below;
    } managers[] = {
        {"/.nvm/versions/node", "/lib/node_modules"},
        {"/.local/share/fnm/node-versions", "/installation/lib/node_modules"},
        {"/.volta/tools/image/node", "/lib/node_modules"},
        {"/.asdf/installs/nodejs", "/lib/node_modules"},
        {"/.local/share/mise/installs/node", "/lib/node_modules"},
    };
    for (size_t i = 0; i < sizeof managers / sizeof *managers; i++) {
        char *dir = xasprintf("%s%s", home, managers[i].dir);
        each_entry(s, dir, managers[i].below, look_at_package);
        free(dir);
    }
    char *volta = xasprintf("%s/.volta/tools/image/packages/@anthropic-ai/claude-code", home);
    each_entry(s, volta, "/lib/node_modules", look_at_package);
    free(volta);
    char *native = xasprintf("%s/.local/share/claude/versions", home);
    each_entry(s, native, "", look_at_native);
    free(native);
    look_below(s, home, look_at_bin, "/.local/bin");
    look_below(s, home, look_at_bin, "/bin");
}

void claude_find_installs(const char *root, const char *const *homes, size_t home_count,
                          const struct fs *fs, struct claude_installs *out)
{
    struct search s = {.root = root, .fs = fs, .out = out};
    *out = (struct claude_installs){0};
    static const char *const modules[] = {"/usr/lib/node_modules",
                                          "/usr/local/lib/node_modules",
                                          "/opt/homebrew/lib/node_modules",
                                          "/usr/local/share/npm-global/lib/node_modules",
                                          "/opt/node/lib/node_modules",
                                          "/opt/nodejs/lib/node_modules"};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        char *path = platform_under_root(root, modules[i]);
        look_at_package(&s, path);
        free(path);
    }
    static const char *const bins[] = {"/usr/local/bin", "/usr/bin", "/opt/claude/bin"};
    for (size_t i = 0; i < sizeof bins / sizeof *bins; i++) {
        char *path = platform_under_root(root, bins[i]);
        look_at_bin(&s, path);
        free(path);
    }
    static const char *const native[] = {"/usr/local/share/claude/versions", "/opt/claude/versions",
                                         "/usr/share/claude/versions"};
    for (size_t i = 0; i < sizeof native / sizeof *native; i++) {
        char *path = platform_under_root(root, native[i]);
        each_entry(&s, path, "", look_at_native);
        free(path);
    }
    for (size_t i = 0; i < home_count; i++) {
        char *home = platform_under_root(root, homes[i]);
        look_in_home(&s, home);
        free(home);
    }
}
