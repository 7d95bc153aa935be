/* Part of /fleet: what else should report, and does not: persons, tokens, refused credentials,
 * integrations and importers that are red or yellow. Private to server/portal. */
#ifndef SERVER_PORTAL_WATCHED_SECTION_H
#define SERVER_PORTAL_WATCHED_SECTION_H

#include "server/portal/html.h"
#include "server/portal/portal.h"

MUST_USE bool portal_put_watched(struct page *page, struct portal *portal, uint64_t now_ns,
                                 struct error *err);

#endif
