/* Any bytes: refused, or JSON that our own strict reader takes. */
#include <stdlib.h>

#include "core/json/reader.h"
#include "core/plist/plist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer json = {.max_bytes = 256 * KIB};
    struct error err;
    if (plist_to_json(bytes_make(data, size), &json, &err)) {
        struct json_reader r = json_reader_make(buffer_bytes(&json));
        enum json_token token;
        do
            token = json_next(&r);
        while (token != JSON_END && token != JSON_ERROR);
        if (token == JSON_ERROR)
            abort();
    }
    buffer_clear(&json);
    return 0;
}
