#include <string.h>

#include "server/message/draft.h"

enum { PERSON_BYTES = 256 };

static void lower_case(struct bytes text)
{
    uint8_t *data = (uint8_t *)(uintptr_t)text.data; /* our own copy in the arena */
    for (size_t i = 0; i < text.len; i++)
        if (data[i] >= 'A' && data[i] <= 'Z')
            data[i] = (uint8_t)(data[i] - 'A' + 'a');
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len && is_space(text.data[0]))
        text = bytes_make(text.data + 1, text.len - 1);
    while (text.len && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

static bool claim(struct draft *d, struct person_claim *out, const struct otlp_value *value,
                  enum message_person_rank rank, bool must_be_email)
{
    if (!value || value->kind == OTLP_VALUE_NONE)
        return false;
    struct bytes text = trimmed(draft_text(d, value, PERSON_BYTES, NULL));
    if (text.len == 0 || (must_be_email && !memchr(text.data, '@', text.len)))
        return false;
    lower_case(text);
    out->person = text;
    out->rank = rank;
    return true;
}

static bool claim_resource(struct draft *d, struct person_claim *out,
                           struct otlp_attributes resource, const char *key,
                           enum message_person_rank rank)
{
    struct otlp_value value;
    return otlp_attributes_find(resource, key, &value) && claim(d, out, &value, rank, false);
}

struct person_claim person_resolve(struct draft *d, struct otlp_attributes resource)
{
    struct person_claim out = {.rank = PERSON_UNKNOWN};
    const struct otlp_value owner = {.kind = OTLP_VALUE_STRING, .bytes = d->context->owner};
    out.account_uuid = draft_find_text(d, (const char *[]){"user.account_uuid", NULL}, 128);
    out.account_id = draft_find_text(d, (const char *[]){"user.account_id", NULL}, 128);

    /* The relay stamps the resource and strips the same key from records, so a resource's word
     * is better than a record's. */
    if (claim_resource(d, &out, resource, "work_email", PERSON_BY_STAMP) ||
        claim(d, &out, attributes_find(&d->set, "work_email"), PERSON_BY_STAMP, false) ||
        claim(d, &out, attributes_find(&d->set, "user.email"), PERSON_BY_EMAIL, false) ||
        claim(d, &out, attributes_find(&d->set, "enduser.id"), PERSON_BY_EMAIL, true) ||
        claim(d, &out, &owner, PERSON_BY_OWNER, false) ||
        claim(d, &out, attributes_find(&d->set, "user.name"), PERSON_BY_NAME, false) ||
        claim(d, &out, attributes_find(&d->set, "user.id"), PERSON_BY_ID, false))
        return out;
    out.person = (struct bytes){0};
    return out;
}
