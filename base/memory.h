/*
 * Small allocations of the program's own. They do not fail: when memory is
 * gone the program stops, which a crash-safe program treats as a restart.
 * Sizes that come from outside go through struct buffer, which has a ceiling
 * and does fail.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

#include "base/compiler.h"

MUST_USE void *xmalloc(size_t bytes);
MUST_USE void *xcalloc(size_t count, size_t bytes);
MUST_USE void *xrealloc(void *old, size_t bytes);
MUST_USE char *xstrdup(const char *text); /* NULL gives NULL */
MUST_USE char *xstrndup(const char *text, size_t len);
MUST_USE char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
