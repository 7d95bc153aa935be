#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum error_kind kind_of_os_code(int os_code)
{
    switch (os_code) {
    case ENOSPC:
#ifdef EDQUOT
    case EDQUOT:
#endif
        return FAIL_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return FAIL_DENIED;
    case ENOENT:
        return FAIL_NOT_FOUND;
    case EINVAL:
    case ENAMETOOLONG:
        return FAIL_INVALID;
    case EBUSY:
    case EAGAIN:
    case EADDRINUSE:
        return FAIL_BUSY;
    default:
        return FAIL_IO;
    }
}

bool error_set(struct error *err, enum error_kind kind, const char *cause, ...)
{
    char text[ERROR_CAUSE_BYTES]; /* `cause` may be err->cause itself */
    va_list args;
    va_start(args, cause);
    vsnprintf(text, sizeof text, cause, args);
    va_end(args);

    err->kind = kind;
    memcpy(err->cause, text, sizeof text);
    err->remedy[0] = '\0';
    return false;
}

bool error_set_os(struct error *err, int os_code, const char *doing, ...)
{
    char text[ERROR_CAUSE_BYTES];
    va_list args;
    va_start(args, doing);
    vsnprintf(text, sizeof text, doing, args);
    va_end(args);
    return error_set(err, kind_of_os_code(os_code), "%s: %s", text, strerror(os_code));
}

bool error_wrap(struct error *err, const char *context, ...)
{
    char text[ERROR_CAUSE_BYTES];
    va_list args;
    va_start(args, context);
    int used = vsnprintf(text, sizeof text, context, args);
    va_end(args);

    if (used >= 0 && (size_t)used < sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, ": %s", err->cause);
    memcpy(err->cause, text, sizeof text);
    return false;
}

bool error_remedy(struct error *err, const char *remedy, ...)
{
    if (err->remedy[0] != '\0')
        return false;
    va_list args;
    va_start(args, remedy);
    vsnprintf(err->remedy, sizeof err->remedy, remedy, args);
    va_end(args);
    return false;
}

static const char *common_remedy(enum error_kind kind)
{
    switch (kind) {
    case FAIL_NO_SPACE:
        return "free space on that volume";
    case FAIL_CORRUPT:
        return "put back a sound copy of it, or move it away";
    case FAIL_DENIED:
        return "run it as a user who may do that, such as root";
    case FAIL_INVALID:
        return "correct what is named; --help shows the usage";
    case FAIL_NOT_FOUND:
        return "check the name, or make what is missing";
    case FAIL_BUSY:
        return "try again when what holds it is done";
    case FAIL_TOO_LARGE:
        return "give less of it";
    default:
        return "try again; if it stays, look at the disk, the network and the system's log";
    }
}

void error_print(const char *program, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", program, err->cause);
    fprintf(stderr, "  fix: %s\n", err->remedy[0] ? err->remedy : common_remedy(err->kind));
}

int error_check_output(const char *program, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    struct error err = {0};
    error_set_os(&err, errno, "cannot write to standard output");
    error_print(program, &err);
    return code == 0 ? 1 : code;
}
