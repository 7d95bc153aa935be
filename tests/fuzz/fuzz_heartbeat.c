/* What agents send: the first byte chooses heartbeat, enrolment or doctor's report. */
#include <stddef.h>
#include <stdint.h>

#include "server/fleet/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heartbeat_document heartbeat;
    struct enroll_request enrolment;
    struct doctor_summary summary;
    struct error err = {0};
    if (size == 0)
        return 0;
    struct bytes body = bytes_make(data + 1, size - 1);
    if (data[0] % 3 == 0)
        (void)!heartbeat_read(body, &heartbeat, &err);
    else if (data[0] % 3 == 1)
        (void)!enroll_request_read(body, &enrolment, &err);
    else
        (void)!doctor_summary_read(body, &summary, &err);
    return 0;
}
