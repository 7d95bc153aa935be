/*
 * Members of a document that cJSON has parsed, by name. What is absent or of
 * another kind reads as nothing: state files and answers of older and newer
 * programs are read by the same code. `object` may be NULL.
 */
#ifndef CORE_JSON_MEMBERS_H
#define CORE_JSON_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

const cJSON *json_at(const cJSON *object, const char *key); /* NULL: absent */

/* "" when absent; lives as long as the document. */
const char *json_text_at(const cJSON *object, const char *key);

/* False, and `out` untouched, when it is no text or does not fit with its end. */
bool json_copy_text(const cJSON *object, const char *key, char *out, size_t size);

/* 0 when absent, negative or no number; at most 2^53, up to which doubles count exactly. */
uint64_t json_count_at(const cJSON *object, const char *key);

#endif
