#include <stdio.h>

#include "server/fleet/device.h"

#define DAY_NS (86400 * NS_PER_S)

static void mint(const struct fleet *f, const struct fleet_device *device, char text[TOKEN_BYTES],
                 struct control_token *out)
{
    *out = (struct control_token){.system_id = device->system_id,
                                  .created_ns = clock_wall_ns(f->options.clock)};
    token_mint(text);
    token_hash(bytes_of(text), out->sha256);
    token_prefix(bytes_of(text), out->prefix);
    snprintf(out->person, sizeof out->person, "%s", device->owner);
}

bool fleet_create_token(struct fleet *f, const struct fleet_device *device, char text[TOKEN_BYTES],
                        int64_t *id, struct error *err)
{
    struct control_token token;
    mint(f, device, text, &token);
    return f->options.control->kind->token_create(f->options.control, &token, id, err);
}

/* A goodbye's answer may find nobody who keeps what it says. */
static bool is_due(const struct fleet *f, const struct fleet_device *device)
{
    uint64_t days = f->options.device_token_days;
    return days > 0 && !device->disconnected &&
           clock_wall_ns(f->options.clock) >= device->token_created_ns + days * DAY_NS;
}

bool fleet_renew_token(struct fleet *f, const struct fleet_device *device, char text[TOKEN_BYTES])
{
    struct control_token token;
    struct error err = {0};
    if (!is_due(f, device))
        return false;
    mint(f, device, text, &token);
    token.device_id = device->id;
    if (!f->store->device_token_offer(f->options.control, device, &token, &err)) {
        log_failure(f->options.log, LOG_WARN_LEVEL, "fleet", "token not renewed", &err);
        return false;
    }
    log_info(f->options.log, "fleet", "new token offered device=%s", device->device_id);
    return true;
}
