/* Which versions of Claude Code are known to lose telemetry: server/fleet/claude_versions.csv. Pure. */
#ifndef SERVER_FLEET_CLAUDE_VERSION_H
#define SERVER_FLEET_CLAUDE_VERSION_H

#include <stdbool.h>

#include "base/bytes.h"

/* What is wrong with it ("sends no telemetry at all"); empty when nothing is known. Static. */
struct bytes claude_version_fault(struct bytes version);

/* Less, equal, greater than 0, part by part: "2.0.9" is before "2.0.10". */
int claude_version_compare(struct bytes a, struct bytes b);

#endif
