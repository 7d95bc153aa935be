/* Any file content: it loads, or it is refused with a problem. */
#include <stdlib.h>

#include "agent/config.h"
#include "core/config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct config_problems problems = {0};
    struct config_node *tree = config_yaml_parse("fuzz", bytes_make(data, size), &err);
    if (!tree)
        return err.kind == FAIL_NONE ? (abort(), 0) : 0;
    struct config_layer layer = {.name = "fuzz", .tree = tree};
    struct config *values = config_create(&agent_config_table, &layer, 1, &problems);
    if (values ? problems.count != 0 : problems.count == 0)
        abort();
    if (values && agent_config_check(values, &problems) != (problems.count == 0))
        abort();
    config_destroy(values);
    config_problems_clear(&problems);
    return 0;
}
