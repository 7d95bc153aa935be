/*
 * The telemetry block: which variables Claude Code gets, and their values.
 *
 * Every variable that a shell or a user's settings could bend is spelled out,
 * at its default where we want the default (docs/claude-code-settings.md says
 * why, variable by variable). For this folder only.
 */
#ifndef AGENT_SETTINGS_ENVIRONMENT_H
#define AGENT_SETTINGS_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings/settings.h"

struct variable {
    char *name;
    char *value;
};

struct environment {
    struct variable *list;
    size_t count;
};

/* What is known of proxies around the file that is being written; NULL or "" when nothing. */
struct proxy_facts {
    const char *proxy;
    const char *no_proxy;
};

/* The machine's block. FAIL_INVALID names the option that cannot be encoded. */
MUST_USE bool environment_managed(const struct settings_options *options,
                                  const struct proxy_facts *proxy, struct environment *out,
                                  struct error *err);

/* One user's block: the same, with the person's attributes and headers. */
MUST_USE bool environment_user(const struct settings_options *options,
                               const struct settings_user *user, const struct proxy_facts *proxy,
                               struct environment *out, struct error *err);

/* Tells any two blocks apart; never 0. */
uint64_t environment_fingerprint(const struct environment *environment);

void environment_clear(struct environment *environment);
const char *environment_get(const struct environment *environment, const char *name);

/* `none` may be written: every installed version is known to survive it. */
bool environment_none_is_safe(const struct claude_installs *installs);

/*
 * Appends "name=value" pairs for OTEL_RESOURCE_ATTRIBUTES: everything but
 * unreserved characters and '@' is percent-encoded, so that a blank or a comma
 * cannot spoil the block. A pair that would pass the parser's 255 characters is
 * cut at a character. Later pairs replace earlier ones of the same name.
 */
MUST_USE bool encode_attributes(const struct settings_pair *pairs, size_t count,
                                struct buffer *out);

/*
 * Appends "name=value" pairs for OTEL_EXPORTER_OTLP_HEADERS. Claude Code sends
 * values as they are, undecoded, so what would need encoding is refused.
 */
MUST_USE bool encode_headers(const struct settings_pair *pairs, size_t count, struct buffer *out,
                             struct error *err);

#endif
