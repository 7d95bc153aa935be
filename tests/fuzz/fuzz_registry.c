/* Any bytes: refused with a reason, or a tree that makes a configuration or a reason too. */
#include <stdlib.h>

#include "core/config/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const choices[] = {"metrics", "logs", NULL};
static const struct config_key keys[] = {
    {.path = "a.flag", .type = CONFIG_BOOL, .fallback = "false"},
    {.path = "a.number", .type = CONFIG_INTEGER, .fallback = "1", .min = 1, .max = 9},
    {.path = "list", .type = CONFIG_TEXT_LIST, .choices = choices},
    {.path = "map", .type = CONFIG_TEXT_MAP},
    {.path = "parts", .type = CONFIG_SECTIONS},
    {.path = "parts[].name", .type = CONFIG_TEXT, .flags = CONFIG_REQUIRED},
    {.path = "parts[].map", .type = CONFIG_TEXT_MAP},
};
static const struct config_table table = {.program = "fuzz",
                                          .keys = keys,
                                          .count = sizeof keys / sizeof *keys};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct registry_key *tree = registry_parse("x.reg", bytes_make(data, size), &err);
    if (!tree && err.kind == FAIL_NONE)
        abort();
    const struct registry_key *policy = tree ? registry_find(tree, "HKEY_LOCAL_MACHINE\\P") : NULL;
    struct config_layer layer = {.name = "x.reg"};
    if (policy) {
        layer.tree = config_registry_parse(&table, "x.reg", policy, &err);
        if (!layer.tree && err.kind == FAIL_NONE)
            abort();
    }
    if (layer.tree) {
        struct config_problems problems = {0};
        struct config *config = config_create(&table, &layer, 1, &problems);
        if (!config && problems.count == 0)
            abort();
        config_destroy(config);
        config_problems_clear(&problems);
    }
    registry_destroy(tree);
    return 0;
}
