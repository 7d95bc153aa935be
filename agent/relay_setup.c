#include "agent/relay_setup.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/platform.h"

enum { PORT_TRIES = 32, URL_BYTES = 4096, ARENA_BYTES = 4 * 1024 * 1024 };

static const struct relay_pair stamps[] = {{.name = "work_email", .value = "${email}"}};
/* Claude Code's and other tools' own name for the account's address. */
static const struct relay_pair claims[] = {{.name = "user.email", .value = "${email}"}};

static uint64_t hours_ns(int64_t hours)
{
    return (uint64_t)hours * 3600 * NS_PER_S;
}

static const char *keep(struct relay_setup *setup, struct bytes text)
{
    struct bytes copy;
    if (!arena_copy(&setup->arena, text, &copy))
        abort(); /* the configuration's size is limited far below the arena's */
    return (const char *)copy.data;
}

static void *many(struct relay_setup *setup, size_t count, size_t bytes)
{
    void *memory = arena_alloc_many(&setup->arena, count + 1, bytes);
    if (!memory)
        abort();
    return memory;
}

static const struct relay_pair *pairs(struct relay_setup *setup, const struct config *values,
                                      const char *path, size_t *count)
{
    *count = config_map_count(values, path);
    struct relay_pair *list = many(setup, *count, sizeof *list);
    for (size_t i = 0; i < *count; i++)
        list[i].name = config_map_at(values, path, i, &list[i].value);
    return list;
}

static bool set_urls(struct relay_setup *setup, const struct config *values,
                     struct accounts *accounts, struct relay_destination_options *out,
                     struct error *err)
{
    bool ok = true;
    for (int s = 0; ok && s < OTLP_SIGNAL_COUNT; s++) {
        struct buffer text = {.max_bytes = URL_BYTES}, url = {.max_bytes = URL_BYTES};
        if (agent_destination_url(values, otlp_signal_name((enum otlp_signal)s), &text)) {
            ok = accounts_expand(accounts, buffer_text(&text), NULL, &url, err);
            if (ok)
                out->url[s] = keep(setup, buffer_bytes(&url));
        }
        buffer_clear(&text);
        buffer_clear(&url);
    }
    return ok || error_wrap(err, "the endpoint of destination '%s'", out->name);
}

static const char *path_below(struct relay_setup *setup, const char *root, const char *path)
{
    if (!path)
        return NULL;
    char *real = config_path_under(root, path);
    const char *kept = keep(setup, bytes_of(real));
    free(real);
    return kept;
}

static bool set_destination(struct relay_setup *setup, const struct config *values,
                            const char *root, const char *shared_ca, struct accounts *accounts,
                            struct relay_destination_options *out, struct error *err)
{
    const char *compression = config_text(values, "compression");
    out->name = config_text(values, "name");
    out->headers = pairs(setup, values, "headers", &out->header_count);
    out->resource_attributes =
        pairs(setup, values, "resource_attributes", &out->resource_attribute_count);
    out->compression = strcmp(compression, "gzip") == 0   ? RELAY_COMPRESSION_GZIP
                       : strcmp(compression, "none") == 0 ? RELAY_COMPRESSION_NONE
                                                          : RELAY_COMPRESSION_AUTO;
    out->concurrency = (unsigned)config_integer(values, "concurrency");
    out->ca_file = path_below(setup, root, config_text(values, "ca_file"));
    if (!out->ca_file)
        out->ca_file = path_below(setup, root, shared_ca);
    out->proxy = config_text(values, "proxy");
    out->batch_bytes = (size_t)config_integer(values, "batch_kib") * KIB;
    out->timeout_ms = (uint32_t)config_integer(values, "timeout_seconds") * 1000;
    out->is_own_server = config_bool(values, "batch_ids");
    out->disabled = !config_bool(values, "enabled");
    return set_urls(setup, values, accounts, out, err);
}

static void set_spool(struct relay_setup *setup, const struct config *values, const char *root,
                      const char *state_dir)
{
    struct spool_options *spool = &setup->options.spool;
    const char *path = config_text(values, "relay.spool.path");
    if (strcmp(path, "auto") == 0) {
        char *dir = xasprintf("%s/spool", state_dir);
        spool->dir = keep(setup, bytes_of(dir));
        free(dir);
    } else {
        spool->dir = path_below(setup, root, path);
    }
    spool->max_bytes = (uint64_t)config_integer(values, "relay.spool.max_mib") * MIB;
    spool->max_age_ns = hours_ns(config_integer(values, "relay.spool.max_age_hours"));
    spool->min_free_disk_bytes =
        (uint64_t)config_integer(values, "relay.spool.min_free_disk_mib") * MIB;
}

bool relay_setup_init(struct relay_setup *setup, const struct config *values, const char *root,
                      const char *state_dir, struct accounts *accounts, struct error *err)
{
    *setup = (struct relay_setup){.arena = {.max_bytes = ARENA_BYTES}};
    struct relay_options *o = &setup->options;
    const char *policy = config_text(values, "relay.local_token_required");

    o->listen[0] = config_text(values, "relay.listen");
    o->listen_count = 1;
    o->port_tries = PORT_TRIES;
    o->grpc_listen = config_text(values, "relay.grpc_listen");
    o->token_policy = strcmp(policy, "true") == 0    ? RELAY_TOKEN_ALWAYS
                      : strcmp(policy, "false") == 0 ? RELAY_TOKEN_NEVER
                                                     : RELAY_TOKEN_AUTO;
    o->max_request_bytes = (size_t)config_integer(values, "relay.max_request_mib") * MIB;
    o->stamps = stamps;
    o->stamp_count = sizeof stamps / sizeof *stamps;
    o->claims = claims;
    o->claim_count = sizeof claims / sizeof *claims;
    o->callbacks = accounts_callbacks(accounts);
    set_spool(setup, values, root, state_dir);

    o->drop_attribute_count = config_list_count(values, "privacy.drop_attributes");
    const char **drop = many(setup, o->drop_attribute_count, sizeof *drop);
    for (size_t i = 0; i < o->drop_attribute_count; i++)
        drop[i] = config_list_at(values, "privacy.drop_attributes", i);
    o->drop_attributes = drop;

    o->destination_count = config_section_count(values, "destinations");
    struct relay_destination_options *list = many(setup, o->destination_count, sizeof *list);
    o->destinations = list;
    /* A company's authority signs what it inspects: it counts for every destination without one. */
    const char *shared_ca = config_text(values, "server.ca_file");
    for (size_t i = 0; i < o->destination_count; i++)
        if (!set_destination(setup, config_section_at(values, "destinations", i), root, shared_ca,
                             accounts, &list[i], err))
            return false;
    return true;
}

void relay_setup_clear(struct relay_setup *setup)
{
    arena_clear(&setup->arena);
}
