/* device: the machines that have enrolled, and taking one out. Work beside a running server. */
#include <stdio.h>

#include "platform/platform.h"
#include "server/command_list.h"
#include "server/fleet/health.h"
#include "server/store/fleet.h"

static bool put_device(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    (void)heartbeat;
    struct list *l = context;
    struct json_writer *w = &l->writer;
    const char *state = health_state_name((enum health_state)device->state);
    char day[INSTANT_DAY_BYTES];
    if (!l->json)
        return buffer_append_format(&l->out, "%-36s %-6s %-24s %-32s last seen %s\n",
                                    device->device_id, state, device->hostname, device->owner,
                                    list_day(device->last_seen_ns, day));
    json_object_open(w);
    json_member_string(w, "id", device->device_id);
    json_member_string(w, "hardwareId", device->hardware_id);
    json_member_string(w, "hostname", device->hostname);
    json_member_string(w, "owner", device->owner);
    json_member_string(w, "agentVersion", device->agent_version);
    json_member_string(w, "state", state);
    json_member_string(w, "reason", device->state_reason);
    json_member_time(w, "enrolledAt", device->enrolled_ns);
    json_member_time(w, "lastSeenAt", device->last_seen_ns);
    json_member_time(w, "lastDataAt", device->last_data_ns);
    json_object_close(w);
    return json_writer_ok(w);
}

int command_device_list(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct list l;
    struct control_store *store = command_open_control(s, &err);
    bool done = store && store->kind->fleet->device_list(store, put_device,
                                                         list_open(&l, o->json, true), &err);
    if (done)
        list_print(&l);
    return command_finish(store, done, &err);
}

int command_device_remove(const struct options *o, const struct settings *s)
{
    const char *device = o->words[2];
    struct error err = {0};
    struct control_store *store = command_open_control(s, &err);
    bool done =
        store && command_note(store, "device.remove", device, &err) &&
        store->kind->fleet->device_remove(store, device, clock_wall_ns(&platform_clock), &err);
    if (!done && err.kind == FAIL_NOT_FOUND)
        error_remedy(&err, "`" PROGRAM " device list` shows the ids");
    if (done && o->json)
        printf("{\"id\":\"%s\"}\n", device);
    else if (done)
        printf("removed device '%s'; its tokens are refused from now on\n", device);
    return command_finish(store, done, &err);
}
