#include "agent/enroll/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "core/json/members.h"
#include "core/json/writer.h"
#include "platform/platform.h"
#include "platform/service.h"

enum { FILE_BYTES = 8 * 1024 };

bool device_token_is_sound(const char *token)
{
    for (const char *at = token; *at; at++)
        if (*at <= ' ' || *at >= 0x7F)
            return false;
    return token[0] != '\0';
}

bool device_load(const struct fs *fs, const char *state_dir, struct device *out, struct error *err)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    char *path = xasprintf("%s/device.json", state_dir);
    cJSON *document = NULL;
    memset(out, 0, sizeof *out);

    bool ok = fs_read_file(fs, path, &text, err);
    if (ok) {
        document = cJSON_ParseWithLength((const char *)text.data, text.len);
        ok = json_copy_text(document, "device_id", out->id, sizeof out->id) &&
             json_copy_text(document, "device_token", out->token, sizeof out->token) &&
             json_copy_text(document, "server_url", out->server_url, sizeof out->server_url) &&
             device_token_is_sound(out->token);
        if (!ok) {
            error_set(err, FAIL_CORRUPT, "'%s' does not hold an enrolment", path);
            error_remedy(err, "run `claude-telemetry-agent enroll`");
        }
        (void)!json_copy_text(document, "hardware_id", out->hardware_id, sizeof out->hardware_id);
        const cJSON *interval = json_at(document, "heartbeat_interval_seconds");
        if (ok && cJSON_IsNumber(interval) && interval->valueint > 0)
            out->heartbeat_interval_seconds = (uint32_t)interval->valueint;
    }
    cJSON_Delete(document);
    buffer_clear(&text);
    free(path);
    return ok;
}

/* Enrolling by hand happens as root, the service is somebody else: who owns the folder owns the
 * file. */
bool device_save(const struct fs *fs, const char *state_dir, const struct device *device,
                 struct error *err)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct json_writer w = json_writer_make(&text);
    json_object_open(&w);
    json_member_string(&w, "device_id", device->id);
    json_member_string(&w, "device_token", device->token);
    json_member_string(&w, "hardware_id", device->hardware_id);
    json_member_string(&w, "server_url", device->server_url);
    json_member_uint(&w, "heartbeat_interval_seconds", device->heartbeat_interval_seconds);
    json_object_close(&w);
    bool ok = json_writer_ok(&w) || error_set(err, FAIL_TOO_LARGE, "the enrolment is too large");
    ok = ok && fs_make_dirs(fs, state_dir, 0700, err) &&
         fs_replace_file_in(fs, state_dir, "device.json", buffer_bytes(&text), 0600, err);
    buffer_clear(&text);
    return ok || error_wrap(err, "cannot keep the device's token");
}

/* The random id of a system that has none. */
static bool kept_id(const struct fs *fs, const char *state_dir, char *out, size_t size,
                    struct error *err)
{
    struct buffer text = {.max_bytes = size - 1};
    char *path = xasprintf("%s/hardware-id", state_dir);
    bool ok = fs_read_file(fs, path, &text, err);
    if (ok) {
        snprintf(out, size, "%s", buffer_text(&text));
        ok = out[0] != '\0' || error_set(err, FAIL_NOT_FOUND, "'%s' is empty", path);
    }
    if (!ok && err->kind == FAIL_NOT_FOUND) {
        char uuid[PLATFORM_UUID_BYTES];
        platform_uuid(uuid);
        snprintf(out, size, "%s", uuid);
        ok = fs_make_dirs(fs, state_dir, 0700, err) &&
             fs_replace_file_in(fs, state_dir, "hardware-id", bytes_of(out), 0600, err);
    }
    buffer_clear(&text);
    free(path);
    return ok;
}

bool device_hardware_id(const struct fs *fs, const char *root, const char *state_dir,
                        char out[DEVICE_HARDWARE_BYTES], struct error *err)
{
    char id[PLATFORM_MACHINE_ID_BYTES];
    uint8_t digest[SHA256_BYTES];
    if (!platform_machine_id(root, id, err) && !kept_id(fs, state_dir, id, sizeof id, err))
        return error_wrap(err, "cannot tell this machine's id");
    /* machine-id(5): never leaves the machine as it is; an application's own hash may. */
    crypto_hmac_sha256(bytes_of(id), bytes_of("claude-telemetry device"), digest);
    crypto_hex(bytes_make(digest, sizeof digest), out);
    return true;
}
