#include "platform/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/windows_text.h"

enum { MAX_DEPTH = 16, NAME_CHARS = 16384, MAX_VALUE_BYTES = 1024 * 1024 };

struct walk {
    const struct platform_registry_visitor *visitor;
    WCHAR name[NAME_CHARS];
    BYTE *value; /* MAX_VALUE_BYTES and room for the zeros that writers forget */
};

static HKEY root_of(const char *path, const char **rest)
{
    static const struct {
        const char *name;
        HKEY key;
    } roots[] = {
        {"HKEY_LOCAL_MACHINE\\", HKEY_LOCAL_MACHINE},
        {"HKEY_CURRENT_USER\\", HKEY_CURRENT_USER},
        {"HKEY_USERS\\", HKEY_USERS},
    };
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        size_t len = strlen(roots[i].name);
        if (strncmp(path, roots[i].name, len) == 0) {
            *rest = path + len;
            return roots[i].key;
        }
    }
    return NULL;
}

/* REG_MULTI_SZ as UTF-8: the same shape, one text behind the other. */
static char *texts_of(const WCHAR *wide)
{
    struct buffer out = {.max_bytes = 4 * MAX_VALUE_BYTES};
    bool ok = true;
    for (; ok && *wide; wide += wcslen(wide) + 1) {
        char *one = utf8_of(wide);
        ok = buffer_append(&out, bytes_make(one, strlen(one) + 1));
        free(one);
    }
    ok = ok && buffer_append_byte(&out, 0);
    char *copy = ok ? xmalloc(out.len) : NULL;
    if (ok)
        memcpy(copy, out.data, out.len);
    buffer_clear(&out);
    return copy;
}

static void tell_value(struct walk *w, const char *name, DWORD type, DWORD size)
{
    struct platform_registry_value value = {.name = name, .kind = PLATFORM_REGISTRY_OTHER};
    char *text = NULL;
    memset(w->value + size, 0, 2 * sizeof(WCHAR));
    if (type == REG_SZ || type == REG_EXPAND_SZ) {
        text = utf8_of((const WCHAR *)(const void *)w->value);
        value.kind = PLATFORM_REGISTRY_TEXT;
    } else if (type == REG_MULTI_SZ) {
        text = texts_of((const WCHAR *)(const void *)w->value);
        value.kind = text ? PLATFORM_REGISTRY_TEXTS : PLATFORM_REGISTRY_OTHER;
    } else if ((type == REG_DWORD && size == 4) || (type == REG_QWORD && size == 8)) {
        memcpy(&value.number, w->value, size); /* little-endian, as every Windows is */
        value.kind = PLATFORM_REGISTRY_NUMBER;
    }
    value.text = text;
    w->visitor->value(w->visitor->context, &value);
    free(text);
}

static void walk_values(struct walk *w, HKEY key)
{
    for (DWORD i = 0;; i++) {
        DWORD chars = NAME_CHARS, size = MAX_VALUE_BYTES, type = 0;
        LONG code = RegEnumValueW(key, i, w->name, &chars, NULL, &type, w->value, &size);
        if (code == ERROR_MORE_DATA)
            continue;
        if (code != ERROR_SUCCESS)
            return;
        char *name = utf8_of(w->name);
        tell_value(w, name, type, size);
        free(name);
    }
}

static void walk_key(struct walk *w, HKEY key, unsigned depth)
{
    walk_values(w, key);
    for (DWORD i = 0; depth < MAX_DEPTH; i++) {
        DWORD chars = NAME_CHARS;
        HKEY below;
        if (RegEnumKeyExW(key, i, w->name, &chars, NULL, NULL, NULL, NULL) != ERROR_SUCCESS)
            return;
        char *name = utf8_of(w->name);
        if (RegOpenKeyExW(key, w->name, 0, KEY_READ | KEY_WOW64_64KEY, &below) == ERROR_SUCCESS) {
            w->visitor->enter(w->visitor->context, name);
            walk_key(w, below, depth + 1);
            w->visitor->leave(w->visitor->context);
            RegCloseKey(below);
        }
        free(name);
    }
}

bool platform_registry_walk(const char *path, const struct platform_registry_visitor *visitor,
                            struct error *err)
{
    const char *rest = path;
    HKEY root = root_of(path, &rest), key;
    if (!root)
        return error_set(err, FAIL_INVALID, "'%s' is no key of the registry", path);
    WCHAR *wide = wide_of(rest);
    LONG code = RegOpenKeyExW(root, wide, 0, KEY_READ | KEY_WOW64_64KEY, &key);
    free(wide);
    if (code != ERROR_SUCCESS)
        return error_set_windows(err, (DWORD)code, "cannot open '%s'", path);
    struct walk *w = xcalloc(1, sizeof *w);
    w->visitor = visitor;
    w->value = xmalloc(MAX_VALUE_BYTES + 2 * sizeof(WCHAR));
    walk_key(w, key, 0);
    RegCloseKey(key);
    free(w->value);
    free(w);
    return true;
}
