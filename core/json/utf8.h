/* Telling valid UTF-8 from other bytes (Unicode 15, table 3-7). */
#ifndef CORE_JSON_UTF8_H
#define CORE_JSON_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Looks at the character that starts `text`, which is not empty. Returns the
 * bytes it takes, 1 to 4; when `*valid` becomes false they are the longest
 * part to show as one U+FFFD.
 */
size_t utf8_step(struct bytes text, bool *valid);

/* Appends a code point; surrogates and numbers past U+10FFFF as U+FFFD. */
MUST_USE bool utf8_append(uint32_t code_point, struct buffer *out);

/* Appends `text`; each bad part and each NUL becomes one U+FFFD. */
MUST_USE bool utf8_append_clean(struct bytes text, struct buffer *out);

#endif
