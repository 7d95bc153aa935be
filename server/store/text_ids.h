/* A bounded memory of text -> number, so that repeated texts cost no look-up. One thread. */
#ifndef SERVER_STORE_TEXT_IDS_H
#define SERVER_STORE_TEXT_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct text_ids;

struct text_ids *text_ids_create(size_t max_count);
void text_ids_destroy(struct text_ids *ids);
bool text_ids_find(const struct text_ids *ids, struct bytes text, int64_t *id);
void text_ids_put(struct text_ids *ids, struct bytes text, int64_t id); /* a full one starts over */
void text_ids_forget(struct text_ids *ids);

#endif
