#include "core/json/members.h"

#include <string.h>

const cJSON *json_at(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *json_text_at(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(json_at(object, key));
    return text ? text : "";
}

bool json_copy_text(const cJSON *object, const char *key, char *out, size_t size)
{
    const char *text = cJSON_GetStringValue(json_at(object, key));
    size_t len = text ? strlen(text) : 0;
    if (!text || len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

uint64_t json_count_at(const cJSON *object, const char *key)
{
    const double most = 9007199254740992.0;
    const cJSON *item = json_at(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble > 0))
        return 0;
    return (uint64_t)(item->valuedouble < most ? item->valuedouble : most);
}
