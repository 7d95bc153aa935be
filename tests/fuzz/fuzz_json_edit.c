/* Edits of arbitrary documents: valid stays valid, what was set is found, what was removed is gone.
 */
#include <stdlib.h>

#include "core/json/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const path[] = {"env", "OTEL_LOGS_EXPORTER"};
    struct buffer text = {.max_bytes = size + 4096};
    struct bytes value;
    struct error err;
    if (!buffer_append(&text, bytes_make(data, size)))
        return 0;
    bool valid = json_edit_check(buffer_bytes(&text), &err);
    bool set = json_edit_set(&text, path, 2, bytes_of("\"otlp\""), &err);
    require(valid || !set);
    if (!set)
        require(bytes_equal(buffer_bytes(&text), bytes_make(data, size)));
    if (set) {
        require(json_edit_check(buffer_bytes(&text), &err));
        require(json_edit_find(buffer_bytes(&text), path, 2, &value, &err));
        require(bytes_equal_text(value, "\"otlp\""));
        require(json_edit_remove(&text, path, 2, &err));
        require(json_edit_check(buffer_bytes(&text), &err));
        require(!json_edit_find(buffer_bytes(&text), path, 2, &value, &err));
    }
    buffer_clear(&text);
    return 0;
}
