/* For systems without a registry. */
#include "platform/registry.h"

bool platform_registry_walk(const char *path, const struct platform_registry_visitor *visitor,
                            struct error *err)
{
    (void)visitor;
    return error_set(err, FAIL_NOT_FOUND, "there is no '%s' on this system", path);
}
