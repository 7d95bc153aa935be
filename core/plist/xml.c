/* XML property lists: the few elements there are, and nothing of XML beyond them. */
#include <stdio.h>
#include <stdlib.h>

#include "core/json/reader.h"
#include "core/plist/kinds.h"

struct cursor {
    struct bytes text;
    size_t at;
    struct json_writer *w;
};

struct tag {
    struct bytes name;
    bool closing, empty;
};

static bool starts(const struct cursor *c, const char *what)
{
    size_t len = strlen(what);
    return c->text.len - c->at >= len && memcmp(c->text.data + c->at, what, len) == 0;
}

static bool pass_beyond(struct cursor *c, const char *what)
{
    for (; c->at < c->text.len; c->at++)
        if (starts(c, what)) {
            c->at += strlen(what);
            return true;
        }
    return false;
}

/* Passes white space, comments, the declaration and the document type. */
static void pass_gaps(struct cursor *c)
{
    for (;;) {
        while (c->at < c->text.len && strchr(" \t\r\n", c->text.data[c->at]) && c->text.data[c->at])
            c->at++;
        if (starts(c, "<!--")) {
            if (!pass_beyond(c, "-->"))
                return;
        } else if (starts(c, "<?") || starts(c, "<!")) {
            if (!pass_beyond(c, ">"))
                return;
        } else {
            return;
        }
    }
}

static bool next_tag(struct cursor *c, struct tag *out)
{
    pass_gaps(c);
    if (!starts(c, "<"))
        return false;
    size_t start = ++c->at;
    while (c->at < c->text.len && c->text.data[c->at] != '>')
        c->at++;
    if (c->at >= c->text.len)
        return false;
    size_t end = c->at++;
    *out = (struct tag){.closing = end > start && c->text.data[start] == '/'};
    start += out->closing;
    if (end > start && c->text.data[end - 1] == '/') {
        out->empty = true;
        end--;
    }
    size_t len = 0;
    while (start + len < end && !strchr(" \t\r\n", c->text.data[start + len]))
        len++;
    out->name = bytes_make(c->text.data + start, len);
    return len > 0;
}

static bool is(const struct tag *tag, const char *name)
{
    return bytes_equal_text(tag->name, name);
}

/* One entity after '&'. False when it is none we know. */
static bool decode_entity(struct bytes name, struct buffer *out)
{
    static const char *const known[][2] = {
        {"lt", "<"}, {"gt", ">"}, {"amp", "&"}, {"quot", "\""}, {"apos", "'"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (bytes_equal_text(name, known[i][0]))
            return buffer_append_text(out, known[i][1]);
    char digits[12] = "";
    if (name.len < 2 || name.len > 9 || name.data[0] != '#')
        return false;
    bool hex = name.data[1] == 'x' || name.data[1] == 'X';
    memcpy(digits, name.data + 1 + hex, name.len - 1 - hex);
    char *end;
    unsigned long c = strtoul(digits, &end, hex ? 16 : 10);
    if (*end || end == digits || c == 0 || c > 0x10FFFF)
        return false;
    /* The JSON reader knows how to make UTF-8 of an escape, surrogate pairs included. */
    char escape[16];
    if (c < 0x10000)
        snprintf(escape, sizeof escape, "\\u%04lx", c);
    else
        snprintf(escape, sizeof escape, "\\u%04lx\\u%04lx", 0xD800 + ((c - 0x10000) >> 10),
                 0xDC00 + ((c - 0x10000) & 0x3FF));
    return json_string_decode(bytes_of(escape), out);
}

/* The text up to the closing tag of `name`, entities decoded. */
static const char *read_text(struct cursor *c, const struct tag *tag, struct buffer *out)
{
    struct tag end;
    if (tag->empty)
        return NULL;
    while (c->at < c->text.len && c->text.data[c->at] != '<') {
        if (c->text.data[c->at] != '&') {
            if (!buffer_append_byte(out, c->text.data[c->at++]))
                return "a text is too long";
            continue;
        }
        size_t start = ++c->at;
        while (c->at < c->text.len && c->text.data[c->at] != ';' && c->at - start < 12)
            c->at++;
        if (c->at >= c->text.len ||
            !decode_entity(bytes_make(c->text.data + start, c->at - start), out))
            return "an entity is unknown";
        c->at++;
    }
    if (!next_tag(c, &end) || !end.closing || !bytes_equal(end.name, tag->name))
        return "a text does not end";
    return NULL;
}

static const char *read_value(struct cursor *c, const struct tag *tag, unsigned depth);

static const char *read_container(struct cursor *c, const struct tag *tag, unsigned depth)
{
    bool dictionary = is(tag, "dict");
    const char *problem = NULL;
    dictionary ? json_object_open(c->w) : json_array_open(c->w);
    while (!tag->empty && !problem) {
        struct tag inner;
        struct buffer key = {.max_bytes = 64 * KIB};
        if (!next_tag(c, &inner))
            problem = "an element is cut off";
        else if (inner.closing && bytes_equal(inner.name, tag->name))
            break;
        else if (dictionary && !is(&inner, "key"))
            problem = "a key is expected";
        else if (dictionary) {
            problem = read_text(c, &inner, &key);
            if (!problem) {
                json_put_key_bytes(c->w, buffer_bytes(&key));
                problem = next_tag(c, &inner) ? NULL : "a value is missing";
            }
        }
        buffer_clear(&key);
        if (!problem)
            problem = read_value(c, &inner, depth + 1);
    }
    dictionary ? json_object_close(c->w) : json_array_close(c->w);
    return problem;
}

static void put_number(struct cursor *c, struct bytes text)
{
    int64_t integer;
    double real;
    if (json_int64(text, &integer))
        json_put_int(c->w, integer);
    else if (json_double(text, &real))
        json_put_double(c->w, real);
    else
        json_put_bytes(c->w, text); /* hexadecimal and the like stay text */
}

static const char *read_value(struct cursor *c, const struct tag *tag, unsigned depth)
{
    if (depth > PLIST_MAX_DEPTH)
        return "it is nested too deeply";
    if (tag->closing)
        return "a value is missing";
    if (is(tag, "dict") || is(tag, "array"))
        return read_container(c, tag, depth);
    if (is(tag, "true") || is(tag, "false")) {
        struct tag end;
        json_put_bool(c->w, is(tag, "true"));
        return tag->empty || (next_tag(c, &end) && end.closing) ? NULL : "an element does not end";
    }
    bool text = is(tag, "string") || is(tag, "date");
    bool numeric = is(tag, "integer") || is(tag, "real");
    if (!text && !numeric && !is(tag, "data"))
        return "an element is unknown";
    struct buffer value = {.max_bytes = MIB};
    const char *problem = read_text(c, tag, &value);
    if (!problem && text)
        json_put_bytes(c->w, buffer_bytes(&value));
    else if (!problem && numeric)
        put_number(c, buffer_bytes(&value));
    else if (!problem)
        json_put_null(c->w);
    buffer_clear(&value);
    return problem;
}

const char *plist_read_xml(struct bytes plist, struct json_writer *w)
{
    struct cursor c = {.text = plist, .w = w};
    struct tag tag;
    if (bytes_starts_with(plist, "\xEF\xBB\xBF"))
        c.at = 3;
    if (!next_tag(&c, &tag) || !is(&tag, "plist") || tag.closing || tag.empty)
        return "there is no <plist>";
    if (!next_tag(&c, &tag))
        return "there is no value";
    const char *problem = read_value(&c, &tag, 0);
    if (!problem && (!next_tag(&c, &tag) || !tag.closing || !is(&tag, "plist")))
        problem = "<plist> does not end";
    return problem;
}
