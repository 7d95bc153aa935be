/* Query strings and forms: whatever is accepted is text with a NUL behind it. */
#include <stdlib.h>

#include "server/query/instant.h"
#include "server/router/arguments.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {.max_bytes = MIB};
    struct arguments arguments;
    struct error err;
    uint64_t ns;
    if (arguments_parse(bytes_make(data, size), &arena, &arguments, &err)) {
        for (size_t i = 0; i < arguments.count; i++) {
            struct argument a = arguments.items[i];
            if (a.value.data[a.value.len] != 0 || strlen((const char *)a.value.data) != a.value.len)
                abort();
            (void)instant_parse(a.value, &ns);
        }
    }
    arena_clear(&arena);
    return 0;
}
