/* The two kinds of property lists. For this folder only. */
#ifndef CORE_PLIST_KINDS_H
#define CORE_PLIST_KINDS_H

#include "base/bytes.h"
#include "core/json/writer.h"

enum { PLIST_MAX_DEPTH = 32 };

/* Each writes the value and returns NULL, or says what is wrong. */
const char *plist_read_binary(struct bytes plist, struct json_writer *w);
const char *plist_read_xml(struct bytes plist, struct json_writer *w);

#endif
