/*
 * Variables in configured texts: "Bearer ${device_token}", "${file:PATH}",
 * "${env:NAME}". Checked when the configuration is loaded, expanded when the
 * value is used, so that a rotated token or file counts at once. "$${" is a
 * plain "${"; a "$" before anything else is itself.
 */
#ifndef CORE_CONFIG_TEMPLATE_H
#define CORE_CONFIG_TEMPLATE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/fs.h"

enum { CONFIG_TEMPLATE_FILE_BYTES = 64 * 1024 };

/* Every variable is one of `names` (NULL-terminated), file: with an absolute path, or env:. */
MUST_USE bool config_template_check(const char *text, const char *const *names, struct error *err);

/* Whether `text` uses the variable, e.g. "email"; NULL asks for any at all. */
bool config_template_uses(const char *text, const char *name);

struct config_variables {
    void *context;

    /* The value now, borrowed until the next call; NULL when there is none. */
    const char *(*value)(void *context, const char *name);

    const struct fs *fs; /* reads ${file:...} below `root` */
    const char *root;
};

/*
 * Appends the text with every variable replaced; a file's trailing line ends
 * are left out. FAIL_NOT_FOUND when a variable has no value, or the file's own
 * failure; `out` is then as it was.
 */
MUST_USE bool config_template_expand(const char *text, const struct config_variables *variables,
                                     struct buffer *out, struct error *err);

#endif
