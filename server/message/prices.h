/*
 * What a request costs by list price: a dated table, read from text like
 * server/message/prices.csv (which is in the program). Pure; a table does not change
 * once made, so any thread may ask.
 */
#ifndef SERVER_MESSAGE_PRICES_H
#define SERVER_MESSAGE_PRICES_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "server/message/message.h"

struct prices;

/*
 * Lines "model,from,input,output,cache_read,cache_write_5m,cache_write_1h,source"; '#' begins a
 * comment. Prices are USD per million tokens with up to three decimals. FAIL_INVALID names the line.
 * The caller destroys the result.
 */
struct prices *prices_create(struct bytes csv, struct error *err);
void prices_destroy(struct prices *prices); /* NULL is fine */

/* The table in the program. */
struct prices *prices_create_builtin(void);

/*
 * USD x 10^6, rounded half up, of a generation's tokens at its time. MESSAGE_ABSENT when the model
 * has no price then, or no count is known. A model's name may carry a date, a cloud's
 * prefix and suffix: "us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-sonnet-4-6[1m]".
 */
int64_t prices_cost(const struct prices *prices, const struct message *generation);

#endif
