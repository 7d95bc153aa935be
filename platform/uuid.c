#include <stdio.h>

#include "platform/platform.h"

void platform_uuid(char out[PLATFORM_UUID_BYTES])
{
    uint8_t r[16];
    platform_random(r, sizeof r);
    r[6] = (uint8_t)((r[6] & 0x0F) | 0x40); /* RFC 9562: version 4, variant 10 */
    r[8] = (uint8_t)((r[8] & 0x3F) | 0x80);
    snprintf(out, PLATFORM_UUID_BYTES,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
             r[15]);
}
