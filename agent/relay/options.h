/* Owned copies of the relay's options: a destination, and lists of pairs. Plain data, any thread.
 */
#ifndef AGENT_RELAY_OPTIONS_H
#define AGENT_RELAY_OPTIONS_H

#include "agent/relay/relay.h"

struct relay_pair *relay_pairs_copy(const struct relay_pair *pairs, size_t count);
void relay_pairs_free(struct relay_pair *pairs, size_t count); /* NULL is fine */

/* Every string in the result is its own; destination_options_clear() frees them. */
void destination_options_copy(struct relay_destination_options *out,
                              const struct relay_destination_options *from);
void destination_options_clear(struct relay_destination_options *options);
bool destination_options_equal(const struct relay_destination_options *a,
                               const struct relay_destination_options *b);

/* Whether the template names a variable that differs from person to person. */
bool template_is_personal(const char *text);

#endif
