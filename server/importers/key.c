#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/fs.h"
#include "server/importers/importer.h"

/* Of the file itself where `path` is a link to it, as mounted secrets are. */
static bool stat_target(const char *path, struct fs_stat *info, struct error *err)
{
    struct fs_file *file = fs_real.open(fs_real.disk, path, FS_READ, 0, err);
    bool ok = file && fs_real.file_stat(fs_real.disk, file, info, err);
    fs_real.close(fs_real.disk, file);
    return ok;
}

bool importer_read_key(const char *path, struct importer_key *out, struct error *err)
{
    static const char admin[] = "sk-ant-admin01-", enterprise[] = "sk-ant-api01-";
    struct buffer text = {.max_bytes = IMPORTER_KEY_BYTES - 1};
    struct fs_stat info;
    memset(out, 0, sizeof *out);
    if (!stat_target(path, &info, err) || !fs_read_file(&fs_real, path, &text, err)) {
        buffer_clear(&text);
        error_wrap(err, "cannot read the key file");
        return error_remedy(err, "put the key into '%s', owned by the server's user, mode 0600",
                            path);
    }
    size_t len = text.len;
    while (len > 0 && (text.data[len - 1] == '\n' || text.data[len - 1] == '\r'))
        len--;
    memcpy(out->text, text.data, len);
    buffer_clear(&text);

    if (info.mode & 077) {
        error_set(err, FAIL_DENIED, "others than its owner can read the key file '%s'", path);
        return error_remedy(err, "chmod 600 '%s', and renew the key if it may have been read",
                            path);
    }
    if (strncmp(out->text, admin, sizeof admin - 1) == 0) {
        out->kind = IMPORTER_ADMIN_KEY;
    } else if (strncmp(out->text, enterprise, sizeof enterprise - 1) == 0) {
        out->kind = IMPORTER_ENTERPRISE_KEY;
    } else {
        error_set(err, FAIL_INVALID, "'%s' holds no key for usage reports", path);
        return error_remedy(
            err,
            "use an Admin key (%s…) of the Console, or an Enterprise key (%s…) with "
            "read:analytics; inference keys do not open reports",
            admin, enterprise);
    }
    if (strpbrk(out->text, " \t\r\n")) {
        error_set(err, FAIL_INVALID, "the key in '%s' has a blank or a line break in it", path);
        return error_remedy(err, "put the key alone on one line");
    }
    return true;
}

unsigned importer_reports(enum importer_key_kind kind, bool beta)
{
    unsigned bits = 0;
    if (kind == IMPORTER_ADMIN_KEY)
        bits |= 1u << API_ADMIN_CLAUDE_CODE;
    else
        bits |= 1u << API_ENTERPRISE_USERS;
    if (beta)
        bits |= 1u << API_ANALYTICS_USAGE | 1u << API_ANALYTICS_COST;
    else if (kind == IMPORTER_ENTERPRISE_KEY)
        bits |= 1u << API_ENTERPRISE_USAGE | 1u << API_ENTERPRISE_COST;
    return bits;
}
