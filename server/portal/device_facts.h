/* What is known of a device, judged as of now. Private to server/portal. */
#ifndef SERVER_PORTAL_DEVICE_FACTS_H
#define SERVER_PORTAL_DEVICE_FACTS_H

#include "server/fleet/document.h"
#include "server/portal/html.h"

struct device_facts {
    struct health_verdict verdict;
    uint64_t last_data_ns; /* newest sign that telemetry flows */
    uint64_t backlog_records;
};

/* `heartbeat` is the last one's JSON, empty when none came. */
void device_judge(const struct fleet_device *device, struct bytes heartbeat, uint64_t now_ns,
                  struct device_facts *out);

/* The state as a sign, a word and a colour. */
void device_put_state(struct page *page, enum health_state state);

#endif
