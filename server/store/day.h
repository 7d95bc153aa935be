/* UTC days as numbers (days since 1970-01-01) and as "2026-11-20". */
#ifndef SERVER_STORE_DAY_H
#define SERVER_STORE_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { DAY_TEXT_BYTES = 11 };
void day_text(int64_t day, char out[DAY_TEXT_BYTES]);
bool day_of_text(struct bytes text, int64_t *day);

#endif
