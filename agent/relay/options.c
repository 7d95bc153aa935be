#include "agent/relay/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct relay_pair *relay_pairs_copy(const struct relay_pair *pairs, size_t count)
{
    if (count == 0)
        return NULL;
    struct relay_pair *copy = xcalloc(count, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].name = xstrdup(pairs[i].name);
        copy[i].value = xstrdup(pairs[i].value);
    }
    return copy;
}

void relay_pairs_free(struct relay_pair *pairs, size_t count)
{
    for (size_t i = 0; pairs && i < count; i++) {
        free((void *)pairs[i].name);
        free((void *)pairs[i].value);
    }
    free(pairs);
}

void destination_options_copy(struct relay_destination_options *out,
                              const struct relay_destination_options *from)
{
    *out = *from;
    out->name = xstrdup(from->name);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        out->url[s] = xstrdup(from->url[s]);
    out->headers = relay_pairs_copy(from->headers, from->header_count);
    out->resource_attributes =
        relay_pairs_copy(from->resource_attributes, from->resource_attribute_count);
    out->ca_file = xstrdup(from->ca_file);
    out->proxy = xstrdup(from->proxy);
}

void destination_options_clear(struct relay_destination_options *options)
{
    free((void *)options->name);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        free((void *)options->url[s]);
    relay_pairs_free((struct relay_pair *)options->headers, options->header_count);
    relay_pairs_free((struct relay_pair *)options->resource_attributes,
                     options->resource_attribute_count);
    free((void *)options->ca_file);
    free((void *)options->proxy);
    *options = (struct relay_destination_options){0};
}

static bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool pairs_equal(const struct relay_pair *a, size_t a_count, const struct relay_pair *b,
                        size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!text_equal(a[i].name, b[i].name) || !text_equal(a[i].value, b[i].value))
            return false;
    return true;
}

bool destination_options_equal(const struct relay_destination_options *a,
                               const struct relay_destination_options *b)
{
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        if (!text_equal(a->url[s], b->url[s]))
            return false;
    return text_equal(a->name, b->name) &&
           pairs_equal(a->headers, a->header_count, b->headers, b->header_count) &&
           pairs_equal(a->resource_attributes, a->resource_attribute_count, b->resource_attributes,
                       b->resource_attribute_count) &&
           a->compression == b->compression && a->concurrency == b->concurrency &&
           text_equal(a->ca_file, b->ca_file) && text_equal(a->proxy, b->proxy) &&
           a->batch_bytes == b->batch_bytes && a->timeout_ms == b->timeout_ms &&
           a->is_own_server == b->is_own_server && a->disabled == b->disabled;
}

bool template_is_personal(const char *text)
{
    return strstr(text, "${email}") != NULL || strstr(text, "${local_user}") != NULL;
}
