/* Exported registry files, line by line. Every byte comes from outside. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/utf8.h"
#include "core/registry/tree.h"

enum { MAX_BYTES = 16 * 1024 * 1024, MAX_LINE_BYTES = 4 * 1024 * 1024 };

struct reading {
    const char *name;
    struct bytes text; /* UTF-8 */
    size_t at;
    unsigned line;
    struct registry_key *tree, *key; /* key: NULL below a deletion */
    size_t nodes;
    struct error *err;
};

static bool fail(struct reading *r, const char *problem)
{
    return error_set(r->err, FAIL_INVALID, "'%s' line %u: %s", r->name, r->line, problem);
}

/* UTF-16, little-endian, as UTF-8; halves of pairs become U+FFFD. */
static bool decode_utf16(struct bytes wide, struct buffer *out)
{
    for (size_t i = 0; i + 1 < wide.len; i += 2) {
        uint32_t c = wide.data[i] | (uint32_t)wide.data[i + 1] << 8;
        if (c >= 0xD800 && c < 0xDC00 && i + 3 < wide.len) {
            uint32_t low = wide.data[i + 2] | (uint32_t)wide.data[i + 3] << 8;
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i += 2;
            }
        }
        if (!utf8_append(c, out))
            return false;
    }
    return true;
}

/* The next line, those that a backslash goes on in joined, blanks at both ends gone. */
static bool next_line(struct reading *r, struct buffer *line)
{
    buffer_reset(line);
    bool goes_on = true;
    while (goes_on && r->at < r->text.len) {
        const uint8_t *start = r->text.data + r->at;
        const uint8_t *end = memchr(start, '\n', r->text.len - r->at);
        size_t len = end ? (size_t)(end - start) : r->text.len - r->at;
        r->at += len + (end != NULL);
        r->line++;
        while (len > 0 && (isspace(start[0]) || start[0] == 0)) {
            start++;
            len--;
        }
        while (len > 0 && isspace(start[len - 1]))
            len--;
        /* Only values in hexadecimal are continued: a text may end with a backslash of its own. */
        goes_on = len > 0 && start[len - 1] == '\\' && start[0] != '[' &&
                  (line->len > 0 || memchr(start, '=', len));
        goes_on = goes_on && !(len > 1 && start[len - 2] == '"');
        if (!buffer_append(line, bytes_make(start, len - goes_on)))
            return fail(r, "the line is too long");
        if (line->len == 0 && r->at < r->text.len)
            goes_on = true; /* an empty line */
    }
    return line->len > 0;
}

/* A text in quotes at `at`; moves past it. False when it does not end. */
static bool read_quoted(const char **at, struct buffer *out)
{
    const char *c = *at + 1;
    for (; *c && *c != '"'; c++) {
        if (*c == '\\' && (c[1] == '"' || c[1] == '\\'))
            c++;
        if (!buffer_append_byte(out, (uint8_t)*c))
            return false;
    }
    *at = c + (*c == '"');
    return *c == '"';
}

/* "hex(7):61,00,..." after its colon. */
static bool read_hex(const char *text, struct buffer *out)
{
    while (*text) {
        int high = bytes_hex_digit((uint8_t)text[0]), low;
        if (high < 0 || (low = bytes_hex_digit((uint8_t)text[1])) < 0)
            return false;
        if (!buffer_append_byte(out, (uint8_t)(high * 16 + low)))
            return false;
        text += 2;
        text += strspn(text, ", \t");
    }
    return true;
}

static uint64_t little_endian(struct bytes raw)
{
    uint64_t number = 0;
    for (size_t i = raw.len < 8 ? raw.len : 8; i-- > 0;)
        number = number << 8 | raw.data[i];
    return number;
}

static bool read_typed(struct reading *r, const char *text, struct buffer *decoded,
                       struct platform_registry_value *value)
{
    struct buffer raw = {.max_bytes = MAX_LINE_BYTES};
    const char *colon = strchr(text, ':');
    char *end = NULL;
    bool ok = true;
    if (strncmp(text, "dword:", 6) == 0) {
        value->kind = PLATFORM_REGISTRY_NUMBER;
        value->number = strtoul(text + 6, &end, 16);
        ok = end != text + 6 && *end == '\0';
    } else if (strncmp(text, "hex", 3) == 0 && colon && read_hex(colon + 1, &raw)) {
        struct bytes bytes = buffer_bytes(&raw);
        if (strncmp(text, "hex(2):", 7) == 0 || strncmp(text, "hex(1):", 7) == 0)
            value->kind = PLATFORM_REGISTRY_TEXT;
        else if (strncmp(text, "hex(7):", 7) == 0)
            value->kind = PLATFORM_REGISTRY_TEXTS;
        else if (strncmp(text, "hex(b):", 7) == 0 || strncmp(text, "hex(4):", 7) == 0)
            value->kind = PLATFORM_REGISTRY_NUMBER;
        value->number = little_endian(bytes);
        if (value->kind <= PLATFORM_REGISTRY_TEXTS) /* its own end, and one more for a list's */
            ok = decode_utf16(bytes, decoded) && buffer_append(decoded, bytes_make("\0", 2));
        value->text = (const char *)decoded->data;
    } else {
        ok = false;
    }
    buffer_clear(&raw);
    return ok || fail(r, "a value is neither a text, dword: nor hex:");
}

static bool read_value(struct reading *r, const char *line)
{
    struct buffer name = {.max_bytes = MAX_LINE_BYTES}, text = {.max_bytes = MAX_LINE_BYTES};
    struct platform_registry_value value = {.kind = PLATFORM_REGISTRY_OTHER};
    const char *at = line;
    bool ok = *at == '@' || (*at == '"' && read_quoted(&at, &name));
    at += *line == '@';
    at += strspn(at, " \t");
    ok = ok && *at == '=' && buffer_append_byte(&name, 0);
    if (!ok) {
        fail(r, "neither a key in brackets nor a value");
    } else {
        at += 1 + strspn(at + 1, " \t");
        value.name = (const char *)name.data;
        if (*at == '"') {
            value.kind = PLATFORM_REGISTRY_TEXT;
            ok = (read_quoted(&at, &text) && *at == '\0' && buffer_append_byte(&text, 0)) ||
                 fail(r, "a text does not end");
            value.text = (const char *)text.data;
        } else if (strcmp(at, "-") != 0) {
            ok = read_typed(r, at, &text, &value);
        }
        if (ok && r->key && strcmp(at, "-") != 0) {
            if (++r->nodes > REGISTRY_MAX_NODES)
                ok = error_set(r->err, FAIL_TOO_LARGE, "'%s' has too many entries", r->name);
            else
                tree_put(r->key, &value);
        }
    }
    buffer_clear(&name);
    buffer_clear(&text);
    return ok;
}

static bool enter_key(struct reading *r, const char *line, size_t len)
{
    if (line[len - 1] != ']')
        return fail(r, "a key's name does not end with ']'");
    r->key = NULL;
    if (line[1] == '-')
        return true;
    struct registry_key *key = r->tree;
    const char *at = line + 1, *end = line + len - 1;
    for (unsigned depth = 0; at < end; depth++) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t step = (size_t)((slash ? slash : end) - at);
        if (depth == REGISTRY_MAX_DEPTH || ++r->nodes > REGISTRY_MAX_NODES)
            return error_set(r->err, FAIL_TOO_LARGE, "'%s' line %u: too many keys", r->name,
                             r->line);
        if (step > 0)
            key = tree_below(key, at, step);
        at += step + 1;
    }
    r->key = key;
    return true;
}

static bool is_head(const char *line)
{
    return strncmp(line, "Windows Registry Editor Version ", 32) == 0 ||
           strcmp(line, "REGEDIT4") == 0;
}

static bool read_lines(struct reading *r)
{
    struct buffer line = {.max_bytes = MAX_LINE_BYTES};
    bool ok = next_line(r, &line) && is_head(buffer_text(&line));
    if (!ok && r->err->kind == FAIL_NONE)
        error_set(r->err, FAIL_INVALID, "'%s' is not an exported registry file", r->name);
    while (ok && next_line(r, &line)) {
        const char *text = buffer_text(&line);
        if (text[0] == '[')
            ok = enter_key(r, text, line.len);
        else if (text[0] != ';')
            ok = read_value(r, text);
    }
    buffer_clear(&line);
    return ok && r->err->kind == FAIL_NONE;
}

struct registry_key *registry_parse(const char *name, struct bytes text, struct error *err)
{
    struct buffer utf8 = {.max_bytes = 2 * (size_t)MAX_BYTES};
    struct reading r = {.name = name, .text = text, .err = err};
    *err = (struct error){0};
    bool wide = text.len >= 2 && text.data[0] == 0xFF && text.data[1] == 0xFE;
    bool ok = text.len <= MAX_BYTES;
    if (!ok)
        error_set(err, FAIL_TOO_LARGE, "'%s' is too large", name);
    if (ok && wide) {
        ok = decode_utf16(bytes_make(text.data + 2, text.len - 2), &utf8) ||
             error_set(err, FAIL_TOO_LARGE, "'%s' is too large", name);
        r.text = buffer_bytes(&utf8);
    } else if (bytes_starts_with(text, "\xEF\xBB\xBF")) {
        r.text = bytes_make(text.data + 3, text.len - 3);
    }
    r.tree = tree_key("", 0);
    ok = ok && read_lines(&r);
    buffer_clear(&utf8);
    if (ok)
        return r.tree;
    registry_destroy(r.tree);
    return NULL;
}
