#include "platform/registry.h"

uint32_t platform_uid_of_sid(const char *sid)
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
    for (const char *at = sid; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT32_C(16777619);
    return hash;
}
