/*
 * The JSON documents that agents send, read into structs. Strict JSON with bounded depth, checked before
 * cJSON sees a byte; unknown members are passed over. Pure. Private to server/fleet.
 */
#ifndef SERVER_FLEET_DOCUMENT_H
#define SERVER_FLEET_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "server/fleet/health.h"
#include "server/store/fleet.h"

/* POST /api/v1/enroll */
struct enroll_request {
    char secret[256];
    struct fleet_device device;     /* hardware_id … agent_version, and owner: set */
    char device_id[FLEET_ID_BYTES]; /* who it says it was before; "" when it does not */
};
MUST_USE bool enroll_request_read(struct bytes json, struct enroll_request *out, struct error *err);

/* POST /api/v1/heartbeat: what health and the device's row need of it. */
struct heartbeat_document {
    char instance_uid[FLEET_ID_BYTES];
    uint64_t sequence_num;
    uint64_t sent_ns; /* 0: not told */
    char agent_version[64], owner[256];
    bool goodbye;
    bool healthy;
    char last_error[240];
    char failed_destination[FLEET_TEXT_BYTES], failed_destination_state[32];
    uint64_t backlog_records, oldest_backlog_s, evicted_total, disk_free_bytes;
    uint64_t drift_repairs_total;
    bool config_failed;
    char config_error[160];
    uint64_t last_event_ns;                 /* newest sign that Claude Code is in use */
    uint64_t logs_last_ns, metrics_last_ns; /* last received */
    char bad_version[64];     /* an installed Claude Code known to lose telemetry; "" none */
    char offline_reason[160]; /* why nothing came for a while; "" when it does not say */
    uint32_t doctor_failed;
};
MUST_USE bool heartbeat_read(struct bytes json, struct heartbeat_document *out, struct error *err);

struct doctor_summary {
    char command_id[FLEET_ID_BYTES]; /* "" when nobody asked */
    uint32_t failed, warned;
};
/* Of a report {"command_id","report":{"summary":{"fail","warn"}}}, or of a bare doctor document. */
MUST_USE bool doctor_summary_read(struct bytes json, struct doctor_summary *out, struct error *err);

/* What health_of_device() is asked; `out` borrows from both. */
void heartbeat_to_health(const struct heartbeat_document *heartbeat,
                         const struct fleet_device *device, uint64_t now_ns,
                         struct health_device *out);

#endif
