#include "platform/accounts.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_BYTES = 4096, MOST_BYTES = 1024 * 1024 };

static bool copy(char *out, size_t size, const char *text)
{
    return snprintf(out, size, "%s", text ? text : "") < (int)size;
}

bool platform_account_of_uid(uint32_t uid, struct platform_account *out, struct error *err)
{
    struct passwd entry, *found = NULL;
    char *text = NULL;
    int code = ERANGE;
    for (size_t size = FIRST_BYTES; code == ERANGE && size <= MOST_BYTES; size *= 4) {
        text = xrealloc(text, size);
        code = getpwuid_r((uid_t)uid, &entry, text, size, &found);
    }
    memset(out, 0, sizeof *out);
    bool ok = code == 0 && found;
    if (ok) {
        out->uid = (uint32_t)found->pw_uid;
        out->gid = (uint32_t)found->pw_gid;
        ok = copy(out->name, sizeof out->name, found->pw_name) &&
             copy(out->gecos, sizeof out->gecos, found->pw_gecos) &&
             copy(out->home, sizeof out->home, found->pw_dir) &&
             copy(out->shell, sizeof out->shell, found->pw_shell);
    }
    free(text);
    if (ok)
        return true;
    if (code != 0 && code != ENOENT && code != ESRCH)
        return error_set_os(err, code, "cannot ask the directory for uid %u", (unsigned)uid);
    return error_set(err, FAIL_NOT_FOUND, "nobody has uid %u", (unsigned)uid);
}
