#include "agent/relay/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/options.h"
#include "base/memory.h"

enum { VALUE_MAX_BYTES = 16 * 1024 };

static bool any_personal(const struct relay_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (template_is_personal(pairs[i].value))
            return true;
    return false;
}

void people_init(struct people *p, const struct relay_destination_options *options,
                 const struct relay_callbacks *callbacks)
{
    *p = (struct people){.options = options, .callbacks = callbacks};
    p->headers_personal = any_personal(options->headers, options->header_count);
    p->stamps_personal =
        any_personal(options->resource_attributes, options->resource_attribute_count);
    p->entries = xcalloc(PEOPLE_MAX, sizeof *p->entries);
    p->count = 1; /* nobody in particular */
}

static void forget_values(struct person_values *v)
{
    for (size_t i = 0; i < v->header_count; i++)
        free(v->headers[i]);
    free(v->headers);
    for (size_t i = 0; i < v->stamp_count; i++) {
        free((void *)v->stamps[i].key);
        free((void *)v->stamps[i].value);
    }
    free(v->stamps);
    v->headers = NULL;
    v->stamps = NULL;
    v->header_count = v->stamp_count = 0;
    v->made = false;
}

void people_clear(struct people *p)
{
    for (size_t i = 0; i < p->count; i++) {
        forget_values(&p->entries[i]);
        free(p->entries[i].user);
    }
    free(p->entries);
    *p = (struct people){0};
}

bool people_differ(const struct people *p)
{
    return p->headers_personal || p->stamps_personal;
}

bool people_find(struct people *p, struct bytes user, unsigned *index)
{
    *index = 0;
    if (!people_differ(p))
        return true;
    for (size_t i = 1; i < p->count; i++)
        if (bytes_equal(bytes_make(p->entries[i].user, p->entries[i].user_len), user)) {
            *index = (unsigned)i;
            return true;
        }
    if (p->count == PEOPLE_MAX)
        return false;
    struct person_values *v = &p->entries[p->count];
    v->user = xstrndup((const char *)user.data, 0);
    if (user.len > 0) {
        v->user = xrealloc(v->user, user.len);
        memcpy(v->user, user.data, user.len);
    }
    v->user_len = user.len;
    *index = (unsigned)p->count++;
    return true;
}

static void copy_part(struct bytes part, char *out, size_t size)
{
    size_t len = part.len < size - 1 ? part.len : size - 1;
    if (len > 0)
        memcpy(out, part.data, len);
    out[len] = '\0';
}

void person_of_user(struct bytes user, struct relay_person *out)
{
    const uint8_t *nul = user.len > 0 ? memchr(user.data, 0, user.len) : NULL;
    size_t first = nul ? (size_t)(nul - user.data) : user.len;
    copy_part(bytes_make(user.data, first), out->local_user, sizeof out->local_user);
    struct bytes email = {0};
    if (nul)
        email = bytes_make(nul + 1, user.len - first - 1);
    copy_part(email, out->email, sizeof out->email);
}

/* What a credential file ends with is not part of the credential; a control character inside
 * would make another header of it. */
static bool clean_header(struct buffer *value, const char *name, struct error *err)
{
    while (value->len > 0 &&
           (value->data[value->len - 1] == '\n' || value->data[value->len - 1] == '\r' ||
            value->data[value->len - 1] == ' '))
        value->len--;
    for (size_t i = 0; i < value->len; i++)
        if (value->data[i] < 0x20 && value->data[i] != '\t') {
            error_set(err, FAIL_INVALID, "the value of header '%s' holds a control character",
                      name);
            return error_remedy(err, "write the credential on one line of its file");
        }
    return true;
}

static bool expand(const struct people *p, const char *text, const struct person_values *v,
                   struct buffer *out, struct error *err)
{
    buffer_reset(out);
    if (!p->callbacks->expand) {
        if (!buffer_append_text(out, text))
            return error_set(err, FAIL_TOO_LARGE, "a configured value is too long");
        return true;
    }
    struct relay_person person = {0};
    person_of_user(bytes_make(v->user, v->user_len), &person);
    return p->callbacks->expand(p->callbacks->context, text,
                                template_is_personal(text) ? &person : NULL, out, err);
}

static uint64_t hash_lines(char *const *lines, size_t count)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < count; i++)
        for (const char *c = lines[i]; *c; c++)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return hash;
}

static bool make_headers(const struct people *p, struct person_values *v, struct buffer *value,
                         struct error *err)
{
    const struct relay_destination_options *o = p->options;
    v->headers = xcalloc(o->header_count + 1, sizeof *v->headers);
    for (size_t i = 0; i < o->header_count; i++) {
        if (!expand(p, o->headers[i].value, v, value, err) ||
            !clean_header(value, o->headers[i].name, err))
            return error_wrap(err, "header '%s'", o->headers[i].name);
        v->headers[v->header_count++] =
            xasprintf("%s: %.*s", o->headers[i].name, (int)value->len, (const char *)value->data);
    }
    v->headers_hash = hash_lines(v->headers, v->header_count);
    return true;
}

static bool make_stamps(const struct people *p, struct person_values *v, struct buffer *value,
                        struct error *err)
{
    const struct relay_destination_options *o = p->options;
    v->stamps = xcalloc(o->resource_attribute_count + 1, sizeof *v->stamps);
    for (size_t i = 0; i < o->resource_attribute_count; i++) {
        const struct relay_pair *pair = &o->resource_attributes[i];
        if (!expand(p, pair->value, v, value, err))
            return error_wrap(err, "resource attribute '%s'", pair->name);
        if (value->len == 0)
            continue; /* nothing known: what the record says stays */
        v->stamps[v->stamp_count++] = (struct otlp_stamp){
            .key = xstrdup(pair->name),
            .value = xstrndup((const char *)value->data, value->len),
        };
    }
    return true;
}

const struct person_values *people_values(struct people *p, unsigned index, struct error *err)
{
    struct person_values *v = &p->entries[index];
    if (v->made)
        return v;
    struct buffer value = {.max_bytes = VALUE_MAX_BYTES};
    v->made = make_headers(p, v, &value, err) && make_stamps(p, v, &value, err);
    buffer_clear(&value);
    if (!v->made)
        forget_values(v);
    return v->made ? v : NULL;
}

bool people_refresh(struct people *p, unsigned index, struct error *err)
{
    uint64_t before = p->entries[index].headers_hash;
    for (size_t i = 0; i < p->count; i++)
        forget_values(&p->entries[i]);
    const struct person_values *v = people_values(p, index, err);
    return v && v->headers_hash != before;
}
