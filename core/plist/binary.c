/*
 * Binary property lists: objects, then a table of their offsets, then a trailer
 * of 32 bytes that says where things are. Every number here comes from outside.
 */
#include "core/json/utf8.h"
#include "core/plist/kinds.h"

enum { TRAILER_BYTES = 32 };

struct list {
    struct bytes text;
    unsigned offset_bytes, ref_bytes;
    uint64_t count, table;
    struct json_writer *w;
};

static uint64_t number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static const char *read_object(const struct list *l, uint64_t index, unsigned depth);

/* Where an object starts; 0 when there is none of that number. */
static size_t offset_of(const struct list *l, uint64_t index)
{
    if (index >= l->count)
        return 0;
    uint64_t offset = number(l->text.data + l->table + index * l->offset_bytes, l->offset_bytes);
    return offset < l->table ? (size_t)offset : 0;
}

/* The count in the marker's low bits or in the integer after it; `at` moves past both. */
static bool read_count(const struct list *l, size_t *at, uint64_t *count)
{
    uint8_t low = l->text.data[*at] & 0x0F;
    *at += 1;
    *count = low;
    if (low != 0x0F)
        return true;
    if (*at >= l->table || (l->text.data[*at] & 0xF0) != 0x10)
        return false;
    unsigned bytes = 1U << (l->text.data[*at] & 0x0F);
    *at += 1;
    if (bytes > 8 || bytes > l->table - *at)
        return false;
    *count = number(l->text.data + *at, bytes);
    *at += bytes;
    return true;
}

static bool decode_utf16(const uint8_t *at, uint64_t units, struct buffer *out)
{
    for (uint64_t i = 0; i < units; i++) {
        uint32_t c = (uint32_t)number(at + 2 * i, 2);
        if (c >= 0xD800 && c < 0xDC00 && i + 1 < units) {
            uint32_t low = (uint32_t)number(at + 2 * i + 2, 2);
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i++;
            }
        }
        if (!utf8_append(c, out))
            return false;
    }
    return true;
}

/* A text object as UTF-8, appended to `out`. */
static const char *read_text(const struct list *l, size_t at, struct buffer *out)
{
    uint8_t kind = l->text.data[at] & 0xF0;
    uint64_t count;
    if ((kind != 0x50 && kind != 0x60) || !read_count(l, &at, &count))
        return "a text is expected";
    uint64_t unit = kind == 0x50 ? 1 : 2;
    if (count > (l->table - at) / unit)
        return "a text runs out of its place";
    bool fits = kind == 0x50 ? buffer_append(out, bytes_make(l->text.data + at, (size_t)count))
                             : decode_utf16(l->text.data + at, count, out);
    return fits ? NULL : "a text is too long";
}

static const char *write_text(const struct list *l, size_t at, bool key)
{
    struct buffer text = {.max_bytes = MIB};
    const char *problem = read_text(l, at, &text);
    if (!problem && key)
        json_put_key_bytes(l->w, buffer_bytes(&text));
    else if (!problem)
        json_put_bytes(l->w, buffer_bytes(&text));
    buffer_clear(&text);
    return problem;
}

static const char *read_container(const struct list *l, size_t at, bool dictionary, unsigned depth)
{
    uint64_t count;
    if (!read_count(l, &at, &count))
        return "a count is malformed";
    uint64_t refs = dictionary ? 2 : 1;
    if (count > (l->table - at) / (refs * l->ref_bytes))
        return "a container runs out of its place";
    const char *problem = NULL;
    dictionary ? json_object_open(l->w) : json_array_open(l->w);
    for (uint64_t i = 0; i < count && !problem && json_writer_ok(l->w); i++) {
        const uint8_t *ref = l->text.data + at + i * l->ref_bytes;
        if (dictionary) {
            size_t key = offset_of(l, number(ref, l->ref_bytes));
            problem = key ? write_text(l, key, true) : "a key leads nowhere";
            ref += count * l->ref_bytes;
        }
        if (!problem)
            problem = read_object(l, number(ref, l->ref_bytes), depth + 1);
    }
    dictionary ? json_object_close(l->w) : json_array_close(l->w);
    return problem;
}

static const char *read_scalar(const struct list *l, size_t at)
{
    uint8_t marker = l->text.data[at];
    unsigned bytes = 1U << (marker & 0x0F & 7);
    uint64_t bits = 0;
    bool sized = (marker & 0xF0) >= 0x10 && (marker & 0xF0) <= 0x30;
    if (sized && ((marker & 0x0F) > 4 || bytes > l->table - at - 1))
        return "a number runs out of its place";
    if (sized && bytes > 8) /* 128 bits: the low half holds what anybody writes */
        bits = number(l->text.data + at + 9, 8);
    else if (sized)
        bits = number(l->text.data + at + 1, bytes);
    double real;
    float narrow;
    uint32_t half = (uint32_t)bits;
    memcpy(&real, &bits, sizeof real);
    memcpy(&narrow, &half, sizeof narrow);
    if (marker == 0x08 || marker == 0x09)
        json_put_bool(l->w, marker == 0x09);
    else if ((marker & 0xF0) == 0x10)
        json_put_int(l->w, (int64_t)bits);
    else if (marker == 0x22)
        json_put_double(l->w, (double)narrow);
    else if (marker == 0x23 || marker == 0x33)
        json_put_double(l->w, real);
    else
        json_put_null(l->w);
    return NULL;
}

static const char *read_object(const struct list *l, uint64_t index, unsigned depth)
{
    size_t at = offset_of(l, index);
    if (at == 0)
        return "a reference leads nowhere";
    if (depth > PLIST_MAX_DEPTH)
        return "it is nested too deeply";
    switch (l->text.data[at] & 0xF0) {
    case 0x50:
    case 0x60:
        return write_text(l, at, false);
    case 0xA0:
    case 0xC0:
        return read_container(l, at, false, depth);
    case 0xD0:
        return read_container(l, at, true, depth);
    default:
        return read_scalar(l, at);
    }
}

const char *plist_read_binary(struct bytes plist, struct json_writer *w)
{
    if (plist.len < 8 + TRAILER_BYTES)
        return "it is too short";
    const uint8_t *trailer = plist.data + plist.len - TRAILER_BYTES;
    struct list l = {.text = plist,
                     .offset_bytes = trailer[6],
                     .ref_bytes = trailer[7],
                     .count = number(trailer + 8, 8),
                     .table = number(trailer + 24, 8),
                     .w = w};
    uint64_t end = plist.len - TRAILER_BYTES;
    bool sizes = l.offset_bytes >= 1 && l.offset_bytes <= 8 && l.ref_bytes >= 1 && l.ref_bytes <= 8;
    if (!sizes || l.table < 8 || l.table > end || l.count > (end - l.table) / l.offset_bytes)
        return "its table of objects is malformed";
    return read_object(&l, number(trailer + 16, 8), 0);
}
