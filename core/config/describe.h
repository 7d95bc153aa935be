/*
 * A configuration table turned into what people and device managers read.
 * docs/configuration.md and templates/jamf-schema.json are committed copies; a
 * test compares them with what the table gives now.
 */
#ifndef CORE_CONFIG_DESCRIBE_H
#define CORE_CONFIG_DESCRIBE_H

#include "base/bytes.h"
#include "core/config/config.h"

/* Every key in a table per group. False past the buffer's ceiling. */
MUST_USE bool config_describe_markdown(const struct config_table *table, struct buffer *out);

/* A JSON schema (draft 4) as Jamf Pro's "Custom Schema" reads it, nested as the YAML is. */
MUST_USE bool config_describe_jamf(const struct config_table *table, struct buffer *out);

/* "a whole number from 1 to 9", "one of a, b", ... */
void config_describe_type(const struct config_key *key, char *out, size_t size);

#endif
