/*
 * How a message looks in lists, and what it is part of: the tree of its trace, from the
 * interaction over the generations to the tools they asked for.
 */
#ifndef SERVER_PORTAL_MESSAGE_TREE_H
#define SERVER_PORTAL_MESSAGE_TREE_H

#include "server/portal/pages.h"
#include "server/query/people.h"

void message_put_type(struct page *page, const struct message *m);
void message_put_subject(struct page *page, const struct message *m); /* model, tool, or name */
void message_put_tokens(struct page *page, const struct message *m);
void message_put_cost(struct page *page, const struct message *m);
void message_put_outcome(struct page *page, const struct message *m);

/* The tree that the row `id` of this trace, prompt or session is in, as nested lists. */
MUST_USE bool message_put_tree(struct page *page, const struct portal *portal,
                               struct route_call *call, const struct stored_message *row,
                               enum privacy names, struct error *err);

#endif
