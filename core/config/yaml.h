/*
 * Reads YAML into a tree with libyaml's event parser (core/config/yaml.c is
 * the only file that includes it). Configuration needs little of YAML, and the
 * rest is refused with its line: anchors, aliases, tags, several documents,
 * keys that are not text, a key given twice, NUL in a text, more than
 * 256 KiB, 4,096 values or 16 levels.
 */
#ifndef CORE_CONFIG_YAML_H
#define CORE_CONFIG_YAML_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/config/node.h"
#include "platform/fs.h"

enum {
    CONFIG_YAML_MAX_BYTES = 256 * 1024,
    CONFIG_YAML_MAX_NODES = 4096,
    CONFIG_YAML_MAX_DEPTH = 16
};

/* A map, empty for an empty text. `name` is the file's, for errors. The result is the caller's;
 * NULL (FAIL_INVALID, FAIL_TOO_LARGE) on failure. */
struct config_node *config_yaml_parse(const char *name, struct bytes text, struct error *err);

/* The same from a file. FAIL_NOT_FOUND when it is missing. */
struct config_node *config_yaml_read(const struct fs *fs, const char *path, struct error *err);

#endif
