/*
 * Variables that a shell sets at its start. Files are read line by line for
 * plain assignments; what a shell would have to compute is kept without a value.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/settings_read.h"
#include "platform/platform.h"

enum { MAX_PROFILE_BYTES = 1024 * 1024, MAX_NAMES = 256 };

/* In the order they are read, roughly: the later one wins. */
static const char *const of_machine[] = {"/etc/environment", "/etc/profile",  "/etc/bash.bashrc",
                                         "/etc/bashrc",      "/etc/zshenv",   "/etc/zsh/zshenv",
                                         "/etc/zshrc",       "/etc/zsh/zshrc"};
static const char *const of_person[] = {
    ".profile",        ".bash_profile", ".bash_login",
    ".bashrc",         ".zshenv",       ".zprofile",
    ".zshrc",          ".zlogin",       ".config/fish/config.fish",
    ".pam_environment"};
static const char *const folders[] = {"/etc/environment.d", "/etc/profile.d"};

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0 || ((*at)[len] != ' ' && (*at)[len] != '\t'))
        return false;
    *at = skip_blanks(*at + len);
    return true;
}

/* The value at `at` as a shell reads a word; NULL when it holds an expression. */
static char *value_at(const char *at)
{
    char *value = xcalloc(strlen(at) + 1, 1);
    size_t len = 0;
    char quote = '\0';
    bool computed = false;
    for (; *at && (quote || !strchr(" \t;#&|", *at)); at++) {
        if (quote ? *at == quote : (*at == '"' || *at == '\''))
            quote = quote ? '\0' : *at;
        else if (*at == '\\' && quote != '\'' && at[1])
            value[len++] = *++at;
        else {
            computed = computed || (quote != '\'' && (*at == '$' || *at == '`'));
            value[len++] = *at;
        }
    }
    if (!computed)
        return value;
    free(value);
    return NULL;
}

/* "export NAME=value", "NAME=value", "set -gx NAME value", "setenv NAME value". */
static void read_assignment(struct settings_view *view, struct view_document *document,
                            const char *line, unsigned number)
{
    const char *at = skip_blanks(line);
    bool words = false;
    if (take_word(&at, "set")) {
        while (*at == '-' && strchr(at, ' '))
            at = skip_blanks(strchr(at, ' '));
        words = true;
    } else if (take_word(&at, "setenv")) {
        words = true;
    } else if (take_word(&at, "export") || take_word(&at, "declare") || take_word(&at, "typeset")) {
        while (*at == '-' && strchr(at, ' '))
            at = skip_blanks(strchr(at, ' '));
    }
    size_t len = 0;
    while (isalnum((unsigned char)at[len]) || at[len] == '_')
        len++;
    const char *rest = at + len;
    if (len == 0 || (words ? (*rest != ' ' && *rest != '\t') : *rest != '='))
        return;
    char *value = value_at(words ? skip_blanks(rest) : rest + 1);
    view_add_entry(view, document, bytes_make(at, len), value, number);
    free(value);
}

static void read_profile(struct settings_view *view, const char *path, const struct fs *fs)
{
    struct buffer text = {.max_bytes = MAX_PROFILE_BYTES};
    struct error ignored;
    if (fs_read_file(fs, path, &text, &ignored) && text.len > 0 && buffer_text(&text)) {
        struct view_document *document = view_add_document(view, VIEW_SHELL, path);
        document->is_there = true;
        char *copy = xstrndup((const char *)text.data, text.len), *line = copy;
        for (unsigned number = 1; line; number++) {
            char *end = strchr(line, '\n');
            if (end)
                *end = '\0';
            line[strcspn(line, "\r")] = '\0';
            read_assignment(view, document, line, number);
            line = end ? end + 1 : NULL;
        }
        free(copy);
    }
    buffer_clear(&text);
}

struct names {
    char *list[MAX_NAMES];
    size_t count;
};

static bool collect(void *context, const char *name)
{
    struct names *names = context;
    if (name[0] != '.' && names->count < MAX_NAMES)
        names->list[names->count++] = xstrdup(name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_folder(struct settings_view *view, const char *dir, const struct fs *fs)
{
    struct names *names = xcalloc(1, sizeof *names);
    struct error ignored;
    (void)!fs->list(fs->disk, dir, collect, names, &ignored);
    qsort(names->list, names->count, sizeof *names->list, by_name);
    for (size_t i = 0; i < names->count; i++) {
        char *path = xasprintf("%s/%s", dir, names->list[i]);
        read_profile(view, path, fs);
        free(path);
        free(names->list[i]);
    }
    free(names);
}

void view_read_profiles(struct settings_view *view, const char *root, const char *home,
                        const struct fs *fs)
{
    for (size_t i = 0; i < sizeof of_machine / sizeof *of_machine; i++) {
        char *path = platform_under_root(root, of_machine[i]);
        read_profile(view, path, fs);
        free(path);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *dir = platform_under_root(root, folders[i]);
        read_folder(view, dir, fs);
        free(dir);
    }
    if (!home)
        return;
    char *units = xasprintf("%s/.config/environment.d", home);
    char *dir = platform_under_root(root, units);
    read_folder(view, dir, fs);
    free(dir);
    free(units);
    for (size_t i = 0; i < sizeof of_person / sizeof *of_person; i++) {
        char *below = xasprintf("%s/%s", home, of_person[i]);
        char *path = platform_under_root(root, below);
        read_profile(view, path, fs);
        free(path);
        free(below);
    }
}

/* What a start-up file sets is told with its line, not again as an environment. */
static bool is_told(const struct settings_view *view, struct bytes name, const char *value)
{
    for (size_t i = 0; i < view->entry_count; i++) {
        const struct view_entry *e = &view->entries[i];
        if (e->document->layer == VIEW_SHELL && bytes_equal_text(name, e->name) && e->value &&
            strcmp(e->value, value) == 0)
            return true;
    }
    return false;
}

void view_read_environment(struct settings_view *view, const char *where, struct bytes environment)
{
    struct view_document *document = view_add_document(view, VIEW_SHELL, where);
    document->is_there = true;
    for (size_t at = 0; at < environment.len;) {
        const char *line = (const char *)environment.data + at;
        size_t len = strnlen(line, environment.len - at);
        const char *equals = memchr(line, '=', len);
        if (equals) {
            char *value = xstrndup(equals + 1, len - (size_t)(equals - line) - 1);
            struct bytes name = bytes_make(line, (size_t)(equals - line));
            if (!is_told(view, name, value))
                view_add_entry(view, document, name, value, 0);
            free(value);
        }
        at += len + 1;
    }
}
