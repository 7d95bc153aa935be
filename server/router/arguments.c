#include "server/router/arguments.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The length of the character at `at`, or 0 when it is not UTF-8 (RFC 3629) or NUL. */
static size_t character_len(struct bytes text, size_t at)
{
    uint8_t c = text.data[at];
    size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;
    if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || at + len > text.len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text.data[at + i] & 0xc0) != 0x80)
            return 0;
    uint8_t second = len > 1 ? text.data[at + 1] : 0x80;
    bool overlong = (c == 0xe0 && second < 0xa0) || (c == 0xf0 && second < 0x90);
    bool surrogate = c == 0xed && second > 0x9f;
    bool beyond = c == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

static bool is_text(struct bytes text)
{
    for (size_t at = 0, len; at < text.len; at += len) {
        len = character_len(text, at);
        if (len == 0)
            return false;
    }
    return true;
}

/* Decodes %XX and '+' in place. False on a bad escape. */
static bool unescape(uint8_t *text, size_t *len)
{
    size_t to = 0;
    for (size_t from = 0; from < *len; from++) {
        uint8_t c = text[from];
        if (c == '%') {
            if (*len - from < 3)
                return false;
            int high = hex_digit(text[from + 1]), low = hex_digit(text[from + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (uint8_t)(high << 4 | low);
            from += 2;
        } else if (c == '+') {
            c = ' ';
        }
        text[to++] = c;
    }
    text[to] = '\0';
    *len = to;
    return true;
}

static bool decode(struct bytes raw, struct arena *arena, struct bytes *out, struct error *err)
{
    uint8_t *text = arena_alloc(arena, raw.len + 1);
    if (!text)
        return error_set(err, FAIL_TOO_LARGE, "the parameters are too long");
    if (raw.len > 0)
        memcpy(text, raw.data, raw.len);
    size_t len = raw.len;
    if (!unescape(text, &len))
        return error_set(err, FAIL_INVALID, "a parameter has a '%%' without two hex digits");
    *out = bytes_make(text, len);
    if (!is_text(*out))
        return error_set(err, FAIL_INVALID, "a parameter is not UTF-8 text");
    return true;
}

static struct bytes until(struct bytes text, uint8_t separator)
{
    const uint8_t *end = text.len > 0 ? memchr(text.data, separator, text.len) : NULL;
    return end ? bytes_make(text.data, (size_t)(end - text.data)) : text;
}

bool arguments_parse(struct bytes text, struct arena *arena, struct arguments *out,
                     struct error *err)
{
    *out = (struct arguments){.items = arena_alloc_many(arena, ARGUMENTS_MAX, sizeof *out->items)};
    if (!out->items)
        return error_set(err, FAIL_TOO_LARGE, "the parameters are too long");
    while (text.len > 0) {
        struct bytes pair = until(text, '&');
        size_t passed = pair.len < text.len ? pair.len + 1 : pair.len;
        text = bytes_make(text.data + passed, text.len - passed);
        if (pair.len == 0)
            continue;
        if (out->count == ARGUMENTS_MAX)
            return error_set(err, FAIL_INVALID, "more than %d parameters", ARGUMENTS_MAX);
        struct bytes name = until(pair, '=');
        size_t value_at = name.len < pair.len ? name.len + 1 : name.len;
        struct argument *item = &out->items[out->count++];
        if (!decode(name, arena, &item->name, err) ||
            !decode(bytes_make(pair.data + value_at, pair.len - value_at), arena, &item->value,
                    err))
            return false;
    }
    return true;
}

struct bytes arguments_get(const struct arguments *arguments, const char *name)
{
    for (size_t i = arguments->count; i > 0; i--)
        if (bytes_equal_text(arguments->items[i - 1].name, name))
            return arguments->items[i - 1].value;
    return bytes_make(NULL, 0);
}

bool arguments_get_number(const struct arguments *arguments, const char *name, uint64_t min,
                          uint64_t max, uint64_t *out, struct error *err)
{
    struct bytes text = arguments_get(arguments, name);
    if (text.len == 0)
        return true;
    uint64_t value = 0;
    bool good = text.len < 19;
    for (size_t i = 0; i < text.len && good; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (!good || value < min || value > max)
        return error_set(err, FAIL_INVALID, "'%s' must be a whole number from %llu to %llu", name,
                         (unsigned long long)min, (unsigned long long)max);
    *out = value;
    return true;
}

/* Whether `name` is a word of a list such as "from, to". */
static bool is_listed(struct bytes name, const char *names)
{
    for (const char *at = names; *at; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ",");
        if (bytes_equal(name, bytes_make(at, len)))
            return true;
        at += len;
    }
    return false;
}

bool arguments_expect(const struct arguments *arguments, const char *names, struct error *err)
{
    for (size_t i = 0; i < arguments->count; i++) {
        struct bytes name = arguments->items[i].name;
        if (!is_listed(name, names))
            return error_set(err, FAIL_INVALID, "'%.*s' is no parameter: use %s",
                             (int)(name.len < 80 ? name.len : 80), (const char *)name.data, names);
    }
    return true;
}
