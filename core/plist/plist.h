/*
 * Reads a macOS property list, XML or binary ("bplist00"), as JSON: managed
 * preferences, directory records and the like, which other readers then take
 * as they take any JSON.
 *
 * Dictionaries and arrays keep their order, data becomes null, dates stay text
 * (XML) or become seconds since 2001 (binary). Depth and size are bounded.
 */
#ifndef CORE_PLIST_PLIST_H
#define CORE_PLIST_PLIST_H

#include "base/bytes.h"
#include "base/error.h"

/*
 * Appends the document's one value to `out`. FAIL_INVALID when it is neither
 * kind, or malformed; FAIL_TOO_LARGE past the ceiling; `out` then holds a part.
 */
MUST_USE bool plist_to_json(struct bytes plist, struct buffer *out, struct error *err);

#endif
