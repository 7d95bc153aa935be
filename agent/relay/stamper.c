#include "agent/relay/stamper.h"

#include <stdlib.h>
#include <string.h>

#include "agent/relay/options.h"
#include "base/memory.h"
#include "core/otlp/rewrite.h"

enum { REMEMBERED = 8, VALUE_MAX_BYTES = 4096 };

/* The stamps of one person, expanded. */
struct person_stamps {
    bool used;
    struct relay_person person;
    struct otlp_stamp *stamps, *claims;
    size_t count, claim_count;
};

struct stamper {
    struct relay_callbacks callbacks;
    struct relay_pair *templates, *claims;
    size_t template_count, claim_count;
    /* Privacy's, then the stamped and the claimed keys: these for unknown owners. */
    char **drop_keys;
    size_t privacy_count, drop_count;
    struct person_stamps people[REMEMBERED];
    size_t next; /* replaced next */
};

struct stamper *stamper_create(const struct relay_options *options)
{
    struct stamper *s = xcalloc(1, sizeof *s);
    s->callbacks = options->callbacks;
    s->templates = relay_pairs_copy(options->stamps, options->stamp_count);
    s->template_count = options->stamp_count;
    s->privacy_count = options->drop_attribute_count;
    s->claims = relay_pairs_copy(options->claims, options->claim_count);
    s->claim_count = options->claim_count;
    s->drop_keys =
        xcalloc(s->privacy_count + s->template_count + s->claim_count + 1, sizeof *s->drop_keys);
    for (size_t i = 0; i < s->privacy_count; i++)
        s->drop_keys[s->drop_count++] = xstrdup(options->drop_attributes[i]);
    for (size_t i = 0; i < s->template_count; i++)
        s->drop_keys[s->drop_count++] = xstrdup(s->templates[i].name);
    for (size_t i = 0; i < s->claim_count; i++)
        s->drop_keys[s->drop_count++] = xstrdup(s->claims[i].name);
    return s;
}

static void free_stamps(struct otlp_stamp *stamps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)stamps[i].key);
        free((void *)stamps[i].value);
    }
    free(stamps);
}

static void forget(struct person_stamps *p)
{
    free_stamps(p->stamps, p->count);
    free_stamps(p->claims, p->claim_count);
    *p = (struct person_stamps){0};
}

void stamper_destroy(struct stamper *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < REMEMBERED; i++)
        forget(&s->people[i]);
    for (size_t i = 0; i < s->drop_count; i++)
        free(s->drop_keys[i]);
    free(s->drop_keys);
    relay_pairs_free(s->claims, s->claim_count);
    relay_pairs_free(s->templates, s->template_count);
    free(s);
}

static bool same_person(const struct relay_person *a, const struct relay_person *b)
{
    return strcmp(a->local_user, b->local_user) == 0 && strcmp(a->email, b->email) == 0;
}

/* A value that is not known (yet) is left out: telemetry is never refused for it. */
static struct otlp_stamp *expand_pairs(const struct stamper *s, const struct relay_person *person,
                                       const struct relay_pair *pairs, size_t count, size_t *known)
{
    struct buffer value = {.max_bytes = VALUE_MAX_BYTES};
    struct otlp_stamp *stamps = xcalloc(count + 1, sizeof *stamps);
    *known = 0;
    for (size_t i = 0; i < count; i++) {
        struct error ignored;
        const char *text = pairs[i].value;
        buffer_reset(&value);
        bool is_known =
            s->callbacks.expand
                ? s->callbacks.expand(s->callbacks.context, text,
                                      template_is_personal(text) ? person : NULL, &value, &ignored)
                : buffer_append_text(&value, text);
        if (!is_known || value.len == 0)
            continue;
        stamps[(*known)++] = (struct otlp_stamp){
            .key = xstrdup(pairs[i].name),
            .value = xstrndup((const char *)value.data, value.len),
        };
    }
    buffer_clear(&value);
    return stamps;
}

static const struct person_stamps *stamps_of(struct stamper *s, const struct relay_person *person)
{
    for (size_t i = 0; i < REMEMBERED; i++)
        if (s->people[i].used && same_person(&s->people[i].person, person))
            return &s->people[i];
    struct person_stamps *p = &s->people[s->next++ % REMEMBERED];
    forget(p);
    p->used = true;
    p->person = *person;
    p->stamps = expand_pairs(s, &p->person, s->templates, s->template_count, &p->count);
    p->claims = expand_pairs(s, &p->person, s->claims, s->claim_count, &p->claim_count);
    return p;
}

bool stamper_apply(struct stamper *s, enum otlp_signal signal, struct bytes request,
                   const struct relay_person *person, bool claims_count, struct buffer *out,
                   struct error *err)
{
    struct otlp_rewrite rewrite = {
        .drop_keys = (const char *const *)s->drop_keys,
        .drop_count = s->privacy_count,
    };
    if (person) {
        const struct person_stamps *p = stamps_of(s, person);
        rewrite.stamps = p->stamps;
        rewrite.stamp_count = p->count;
        rewrite.only = p->claims;
        rewrite.only_count = p->claim_count;
    } else if (!claims_count) {
        rewrite.drop_count = s->drop_count;
    }
    return otlp_rewrite_request(signal, request, &rewrite, out, err);
}

struct bytes stamper_user(const struct relay_person *person, char out[SPOOL_USER_BYTES])
{
    if (!person || (!*person->local_user && !*person->email))
        return (struct bytes){0};
    size_t user_len = strnlen(person->local_user, sizeof person->local_user - 1);
    size_t email_len = strnlen(person->email, SPOOL_USER_BYTES - user_len - 1);
    memcpy(out, person->local_user, user_len);
    out[user_len] = '\0';
    memcpy(out + user_len + 1, person->email, email_len);
    return bytes_make(out, user_len + 1 + email_len);
}
