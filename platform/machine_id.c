#include "platform/machine_id.h"

#include <stdlib.h>
#include <string.h>

#include "platform/fs.h"
#include "platform/platform.h"

bool machine_id_of_file(const char *root, char out[PLATFORM_MACHINE_ID_BYTES], struct error *err)
{
    struct buffer text = {.max_bytes = PLATFORM_MACHINE_ID_BYTES - 1};
    char *path = platform_under_root(root, "/etc/machine-id");
    bool ok = fs_read_file(&fs_real, path, &text, err);
    size_t len = 0;
    while (ok && len < text.len && text.data[len] > ' ')
        len++;
    if (ok && len < 16) /* empty or "uninitialized" in an image that never booted */
        ok = error_set(err, FAIL_NOT_FOUND, "'%s' holds no machine id", path);
    if (ok) {
        memcpy(out, text.data, len);
        out[len] = '\0';
    }
    free(path);
    buffer_clear(&text);
    return ok;
}
