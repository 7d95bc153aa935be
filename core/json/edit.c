#include "core/json/edit.h"

#include "core/json/reader.h"
#include "core/json/writer.h"

static const uint8_t byte_order_mark[] = {0xEF, 0xBB, 0xBF};

/* Offsets of one member and of the gaps around it, in the text after the mark. */
struct member {
    bool found;
    struct bytes key; /* escaped */
    size_t key_start, key_end;
    size_t value_start, value_end;
    size_t before;          /* the end of the value before it, or just after '{' */
    size_t next_key_start;  /* 0 when it is the last */
    enum json_token opened; /* the value's first token */
};

/* One object of the document. */
struct object {
    size_t open;  /* just after '{' */
    size_t close; /* at '}' */
    size_t count;
    struct member match; /* the last member of the name asked for */
    struct member last;
};

static size_t mark_len(struct bytes text)
{
    return text.len >= sizeof byte_order_mark &&
                   memcmp(text.data, byte_order_mark, sizeof byte_order_mark) == 0
               ? sizeof byte_order_mark
               : 0;
}

static struct bytes without_mark(struct bytes text)
{
    size_t skip = mark_len(text);
    return bytes_make(text.data ? text.data + skip : NULL, text.len - skip);
}

static struct bytes part(struct bytes text, size_t from, size_t to)
{
    return bytes_make(text.data + from, to - from);
}

/* After the first token of a value: passes over the rest of it. */
static bool finish_value(struct json_reader *r, enum json_token first)
{
    if (first == JSON_ERROR || first == JSON_END)
        return false;
    if (first != JSON_OBJECT_OPEN && first != JSON_ARRAY_OPEN)
        return true;
    unsigned outside = r->depth - 1;
    while (r->depth > outside) {
        enum json_token token = json_next(r);
        if (token == JSON_ERROR || token == JSON_END)
            return false;
    }
    return true;
}

bool json_edit_check(struct bytes text, struct error *err)
{
    struct json_reader r = json_reader_make(without_mark(text));
    enum json_token token = json_next(&r);
    if (token == JSON_ERROR || token == JSON_END)
        return json_fail(&r, err);
    if (token != JSON_OBJECT_OPEN) {
        unsigned line, column;
        json_place(r.text, r.token_offset, &line, &column);
        return error_set(err, FAIL_INVALID, "line %u, column %u: the document is not an object",
                         line, column);
    }
    do
        token = json_next(&r);
    while (token != JSON_END && token != JSON_ERROR);
    return token == JSON_END || json_fail(&r, err);
}

/* Reads the object whose '{' the reader has just passed. The text is known to be valid. */
static void read_object(struct json_reader *r, const char *name, json_edit_visit *visit,
                        void *context, struct object *out)
{
    *out = (struct object){.open = r->token_offset + 1};
    size_t before = out->open;
    struct member *open_end = NULL; /* the match, until its next key is known */
    bool visiting = visit != NULL;
    for (enum json_token token = json_next(r); token == JSON_KEY; token = json_next(r)) {
        struct member m = {.found = true, .key = r->span, .before = before};
        m.key_start = r->token_offset;
        m.key_end = r->at;
        while (m.key_end > 0 && r->text.data[m.key_end - 1] != '"')
            m.key_end--; /* whatever the reader passed after the closing quote */
        if (open_end)
            open_end->next_key_start = m.key_start;
        open_end = NULL;
        m.opened = json_next(r);
        m.value_start = r->token_offset;
        if (!finish_value(r, m.opened))
            return;
        m.value_end = r->at;
        before = m.value_end;
        out->count++;
        out->last = m;
        if (visiting)
            visiting = visit(context, m.key, part(r->text, m.value_start, m.value_end));
        if (name && json_string_equals(m.key, name)) {
            out->match = m;
            open_end = &out->match;
        }
    }
    out->close = r->token_offset;
}

/* Reads the object at path[0..depth). `text` is valid and has no mark. */
static bool object_at(struct bytes text, const char *const *path, size_t depth, const char *name,
                      struct object *out, struct error *err)
{
    size_t base = 0;
    for (size_t level = 0; level <= depth; level++) {
        struct json_reader r = json_reader_make(part(text, base, text.len));
        (void)json_next(&r);
        read_object(&r, level < depth ? path[level] : name, NULL, NULL, out);
        struct member *all[] = {&out->match, &out->last};
        for (size_t i = 0; i < 2; i++) {
            all[i]->key_start += base;
            all[i]->key_end += base;
            all[i]->value_start += base;
            all[i]->value_end += base;
            all[i]->before += base;
            if (all[i]->next_key_start)
                all[i]->next_key_start += base;
        }
        out->open += base;
        out->close += base;
        if (level == depth)
            break;
        if (!out->match.found)
            return error_set(err, FAIL_NOT_FOUND, "there is no '%s'", path[level]);
        if (out->match.opened != JSON_OBJECT_OPEN) {
            unsigned line, column;
            json_place(text, out->match.value_start, &line, &column);
            return error_set(err, FAIL_INVALID, "line %u, column %u: '%s' is not an object", line,
                             column, path[level]);
        }
        base = out->match.value_start;
    }
    return true;
}

bool json_edit_find(struct bytes text, const char *const *path, size_t depth, struct bytes *value,
                    struct error *err)
{
    struct object object;
    if (!json_edit_check(text, err))
        return false;
    struct bytes body = without_mark(text);
    if (!object_at(body, path, depth - 1, path[depth - 1], &object, err))
        return false;
    if (!object.match.found)
        return error_set(err, FAIL_NOT_FOUND, "there is no '%s'", path[depth - 1]);
    *value = part(body, object.match.value_start, object.match.value_end);
    return true;
}

bool json_edit_each(struct bytes text, const char *const *path, size_t depth,
                    json_edit_visit *visit, void *context, struct error *err)
{
    struct object object;
    if (!json_edit_check(text, err))
        return false;
    struct bytes body = without_mark(text);
    if (!object_at(body, path, depth, NULL, &object, err))
        return false;
    struct json_reader r = json_reader_make(part(body, object.open - 1, body.len));
    (void)json_next(&r);
    read_object(&r, NULL, visit, context, &object);
    return true;
}

/* Puts `with` where text[from, to) is. */
static bool splice(struct buffer *text, size_t from, size_t to, struct bytes with,
                   struct error *err)
{
    size_t removed = to - from;
    if (with.len > removed && !buffer_reserve(text, with.len - removed))
        return error_set(err, FAIL_TOO_LARGE, "the document would pass %zu bytes", text->max_bytes);
    memmove(text->data + from + with.len, text->data + to, text->len - to);
    if (with.len > 0)
        memcpy(text->data + from, with.data, with.len);
    text->len = text->len - removed + with.len;
    return true;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* The run of white space that ends at `at`. */
static struct bytes space_before(struct bytes text, size_t at, size_t floor)
{
    size_t from = at;
    while (from > floor && is_space(text.data[from - 1]))
        from--;
    return part(text, from, at);
}

/* How a document is laid out, for members that have no neighbour to copy. */
struct layout {
    struct bytes line_end; /* "\n" or "\r\n"; empty in a document on one line */
    struct bytes unit;     /* one level's indentation */
    struct bytes colon;    /* ":", ": ", … */
};

static bool has_line_end(struct bytes space)
{
    return memchr(space.data, '\n', space.len) != NULL;
}

/* What follows the last line end of a run of white space. */
static struct bytes indentation(struct bytes space)
{
    size_t from = space.len;
    while (from > 0 && space.data[from - 1] != '\n' && space.data[from - 1] != '\r')
        from--;
    return part(space, from, space.len);
}

static struct layout layout_of(struct bytes text, const struct object *top)
{
    struct layout l = {.line_end = bytes_of("\n"), .unit = bytes_of("  "), .colon = bytes_of(": ")};
    const uint8_t *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
    if (end && end > text.data && end[-1] == '\r')
        l.line_end = bytes_of("\r\n");
    if (top->count == 0)
        return l;
    const struct member *m = &top->last;
    l.colon = part(text, m->key_end, m->value_start);
    struct bytes gap = space_before(text, m->key_start, m->before);
    if (!has_line_end(gap))
        l.line_end = (struct bytes){0};
    else if (indentation(gap).len > 0)
        l.unit = indentation(gap);
    return l;
}

static bool put(struct buffer *out, struct bytes bytes)
{
    return buffer_append(out, bytes);
}

/* The new member's text with what separates it from what is there. */
static bool lay_out_member(struct bytes text, const struct object *top, const struct object *into,
                           size_t depth, const char *key, struct bytes json, struct buffer *out)
{
    struct layout l = layout_of(text, top);
    struct json_writer w = json_writer_make(out);
    bool ok = true;
    if (into->count > 0) {
        const struct member *m = &into->last;
        struct bytes gap = space_before(text, m->key_start, m->before);
        if (into->count == 1 && !has_line_end(gap) && l.colon.len > 1)
            gap = bytes_of(" "); /* { "a": 1 } becomes { "a": 1, "b": 2 } whatever follows '{' */
        ok = put(out, bytes_of(",")) && put(out, gap);
        l.colon = part(text, m->key_end, m->value_start);
    } else if (l.line_end.len > 0) {
        ok = put(out, l.line_end);
        for (size_t i = 0; ok && i <= depth; i++)
            ok = put(out, l.unit);
    }
    json_put_string(&w, key);
    ok = ok && json_writer_ok(&w) && put(out, l.colon) && put(out, json);
    if (ok && into->count == 0 && l.line_end.len > 0) {
        ok = put(out, l.line_end);
        for (size_t i = 0; ok && i < depth; i++)
            ok = put(out, l.unit);
    }
    return ok;
}

static bool insert_member(struct buffer *text, const struct object *into, size_t depth,
                          const char *key, struct bytes json, struct error *err)
{
    struct bytes body = without_mark(buffer_bytes(text));
    size_t mark = mark_len(buffer_bytes(text));
    struct object top;
    struct buffer added = {.max_bytes = text->max_bytes};
    if (!object_at(body, &key, 0, NULL, &top, err)) /* the top: no step of a path is taken */
        return false;
    bool ok = lay_out_member(body, &top, into, depth, key, json, &added);
    if (!ok)
        error_set(err, FAIL_TOO_LARGE, "the document would pass %zu bytes", text->max_bytes);
    else if (into->count > 0)
        ok = splice(text, mark + into->last.value_end, mark + into->last.value_end,
                    buffer_bytes(&added), err);
    else
        ok = splice(text, mark + into->open, mark + into->close, buffer_bytes(&added), err);
    buffer_clear(&added);
    return ok;
}

/* Wraps `json` in the objects path[0..depth), innermost last: what a missing branch looks like. */
static bool branch_text(const char *const *path, size_t depth, struct bytes json,
                        struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    for (size_t i = 0; i < depth; i++) {
        json_object_open(&w);
        json_put_key(&w, path[i]);
    }
    json_put_raw(&w, json);
    for (size_t i = 0; i < depth; i++)
        json_object_close(&w);
    return json_writer_ok(&w);
}

bool json_edit_set(struct buffer *text, const char *const *path, size_t depth, struct bytes json,
                   struct error *err)
{
    if (!json_edit_check(buffer_bytes(text), err))
        return false;
    struct bytes body = without_mark(buffer_bytes(text));
    size_t mark = mark_len(buffer_bytes(text));
    struct object object;
    size_t level = depth - 1; /* how many objects of the path exist */
    while (!object_at(body, path, level, path[level], &object, err)) {
        if (err->kind != FAIL_NOT_FOUND)
            return false;
        level--;
    }
    if (level == depth - 1 && object.match.found)
        return splice(text, mark + object.match.value_start, mark + object.match.value_end, json,
                      err);
    if (level == depth - 1)
        return insert_member(text, &object, level, path[level], json, err);

    /* One empty object a step, so that each member finds its layout in the one around it. The
     * whole branch is tried first, so that a ceiling met half-way leaves nothing behind. */
    struct buffer whole = {.max_bytes = text->max_bytes};
    bool ok = branch_text(path + level + 1, depth - level - 1, json, &whole);
    size_t room = whole.len + (depth - level) * (depth + 2) * 16;
    buffer_clear(&whole);
    if (!ok || !buffer_reserve(text, room))
        return error_set(err, FAIL_TOO_LARGE, "the document would pass %zu bytes", text->max_bytes);
    return insert_member(text, &object, level, path[level], bytes_of("{}"), err) &&
           json_edit_set(text, path, depth, json, err);
}

bool json_edit_remove(struct buffer *text, const char *const *path, size_t depth, struct error *err)
{
    if (!json_edit_check(buffer_bytes(text), err))
        return false;
    size_t mark = mark_len(buffer_bytes(text));
    for (;;) {
        struct object object;
        struct bytes body = without_mark(buffer_bytes(text));
        if (!object_at(body, path, depth - 1, path[depth - 1], &object, err))
            return err->kind == FAIL_NOT_FOUND;
        const struct member *m = &object.match;
        if (!m->found)
            return true;
        size_t from = m->next_key_start ? m->key_start : m->before;
        size_t to = m->next_key_start ? m->next_key_start : m->value_end;
        if (object.count == 1) {
            from = object.open;
            to = object.close;
        }
        if (!splice(text, mark + from, mark + to, (struct bytes){0}, err))
            return false;
    }
}

bool json_edit_same_but_space(struct bytes a, struct bytes b)
{
    struct json_reader x = json_reader_make(without_mark(a));
    struct json_reader y = json_reader_make(without_mark(b));
    for (;;) {
        enum json_token token = json_next(&x);
        if (token != json_next(&y) || token == JSON_ERROR)
            return false;
        if (token == JSON_END)
            return true;
        bool has_text = token == JSON_KEY || token == JSON_STRING || token == JSON_NUMBER;
        if (has_text && !bytes_equal(x.span, y.span))
            return false;
    }
}
