#include "core/config/template.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/config.h"
#include "core/config/nearest.h"
#include "platform/platform.h"

enum { NAME_BYTES = 512 };

enum piece_kind { PIECE_END, PIECE_LITERAL, PIECE_VARIABLE, PIECE_BROKEN };

struct piece {
    enum piece_kind kind;
    const char *text; /* the literal, or the variable's name without ${} */
    size_t len;
};

/* Cuts the next piece off `*at`. */
static struct piece next_piece(const char **at)
{
    const char *start = *at;
    if (*start == '\0')
        return (struct piece){PIECE_END, start, 0};
    if (strncmp(start, "$${", 3) == 0) {
        *at = start + 3;
        return (struct piece){PIECE_LITERAL, start + 1, 2};
    }
    if (strncmp(start, "${", 2) == 0) {
        const char *end = strchr(start, '}');
        if (!end || end == start + 2 || end - start > NAME_BYTES)
            return (struct piece){PIECE_BROKEN, start, strlen(start)};
        *at = end + 1;
        return (struct piece){PIECE_VARIABLE, start + 2, (size_t)(end - start - 2)};
    }
    const char *end = start + 1;
    while (*end != '\0' && strncmp(end, "$${", 3) != 0 && strncmp(end, "${", 2) != 0)
        end++;
    *at = end;
    return (struct piece){PIECE_LITERAL, start, (size_t)(end - start)};
}

static bool is_prefixed(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool check_file(const char *path, struct error *err)
{
    bool has_drive = isalpha((unsigned char)path[0]) && path[1] == ':';
    if (path[0] != '/' && !has_drive)
        error_set(err, FAIL_INVALID, "'${file:%s}' needs an absolute path", path);
    else if (strstr(path, "/../") || strstr(path, "\\..\\"))
        error_set(err, FAIL_INVALID, "'${file:%s}' must not contain '..'", path);
    else
        return true;
    return error_remedy(err, "write the file's whole path");
}

static bool check_variable(const char *name, const char *const *names, struct error *err)
{
    if (is_prefixed(name, "file:"))
        return check_file(name + 5, err);
    if (is_prefixed(name, "env:"))
        return name[4] != '\0' || error_set(err, FAIL_INVALID, "'${env:}' names no variable");

    const char *nearest = "file:PATH";
    size_t distance = SIZE_MAX;
    for (; *names; names++) {
        size_t this_one = config_distance(name, *names);
        if (this_one == 0)
            return true;
        if (this_one < distance) {
            distance = this_one;
            nearest = *names;
        }
    }
    error_set(err, FAIL_INVALID, "unknown variable '${%.80s}', nearest valid one is '${%s}'", name,
              nearest);
    return error_remedy(err, "write '${%s}', or '$${' for a plain '${'", nearest);
}

bool config_template_check(const char *text, const char *const *names, struct error *err)
{
    for (;;) {
        struct piece piece = next_piece(&text);
        char name[NAME_BYTES];
        if (piece.kind == PIECE_END)
            return true;
        if (piece.kind == PIECE_BROKEN) {
            error_set(err, FAIL_INVALID, "a variable is not complete: '${' without a name and '}'");
            return error_remedy(err, "close it with '}', or write '$${' for a plain '${'");
        }
        if (piece.kind == PIECE_LITERAL)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)piece.len, piece.text);
        if (!check_variable(name, names, err))
            return false;
    }
}

bool config_template_uses(const char *text, const char *name)
{
    for (;;) {
        struct piece piece = next_piece(&text);
        if (piece.kind == PIECE_END || piece.kind == PIECE_BROKEN)
            return false;
        if (piece.kind == PIECE_VARIABLE &&
            (!name || bytes_equal_text(bytes_make(piece.text, piece.len), name)))
            return true;
    }
}

static bool append_file(const char *path, const struct config_variables *v, struct buffer *out,
                        struct error *err)
{
    struct buffer content = {.max_bytes = CONFIG_TEMPLATE_FILE_BYTES};
    char *real = config_path_under(v->root, path);
    bool ok = fs_read_file(v->fs, real, &content, err);
    if (!ok)
        error_wrap(err, "${file:%s}", path);
    struct bytes text = buffer_bytes(&content);
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.len--;
    if (ok && !buffer_append(out, text))
        ok = error_set(err, FAIL_TOO_LARGE, "'%s' is too long here", real);
    buffer_clear(&content);
    free(real);
    return ok;
}

static bool append_variable(const char *name, const struct config_variables *v, struct buffer *out,
                            struct error *err)
{
    if (is_prefixed(name, "file:"))
        return append_file(name + 5, v, out, err);
    bool is_env = is_prefixed(name, "env:");
    const char *value = is_env ? getenv(name + 4) : v->value(v->context, name);
    if (!value) {
        error_set(err, FAIL_NOT_FOUND, "'${%.80s}' has no value", name);
        return is_env ? error_remedy(err, "set %.80s in the agent's environment", name + 4) : false;
    }
    if (!buffer_append_text(out, value))
        return error_set(err, FAIL_TOO_LARGE, "the value of '${%.80s}' is too long here", name);
    return true;
}

bool config_template_expand(const char *text, const struct config_variables *variables,
                            struct buffer *out, struct error *err)
{
    size_t before = out->len;
    for (;;) {
        struct piece piece = next_piece(&text);
        char name[NAME_BYTES];
        bool ok = true;
        if (piece.kind == PIECE_END)
            return true;
        if (piece.kind == PIECE_BROKEN) {
            ok = error_set(err, FAIL_INVALID, "a variable is not complete");
        } else if (piece.kind == PIECE_LITERAL) {
            ok = buffer_append(out, bytes_make(piece.text, piece.len)) ||
                 error_set(err, FAIL_TOO_LARGE, "the expanded text is too long");
        } else {
            snprintf(name, sizeof name, "%.*s", (int)piece.len, piece.text);
            ok = append_variable(name, variables, out, err);
        }
        if (!ok) {
            out->len = before;
            return false;
        }
    }
}
