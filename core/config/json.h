/* Reads JSON into a tree: managed preferences, once core/plist has made JSON of them. */
#ifndef CORE_CONFIG_JSON_H
#define CORE_CONFIG_JSON_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/config/node.h"

/*
 * A map; texts count as written without quotes, for device managers often send
 * numbers and booleans as text. The same limits as for YAML (core/config/yaml.h). `name` is for
 * errors. The result is the caller's; NULL (FAIL_INVALID, FAIL_TOO_LARGE) on failure.
 */
struct config_node *config_json_parse(const char *name, struct bytes text, struct error *err);

#endif
