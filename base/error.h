/*
 * What went wrong, for code to branch on and for a person to act on.
 *
 * A fallible function takes `struct error *err` last (never NULL) and returns
 * false or NULL on failure. The functions below return false, so a failure
 * and its explanation are one statement: return error_set(err, ...).
 *
 * Causes: lower case, subject in quotes, no full stop. Remedies: an
 * instruction that names a setting, a path or a command.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#include "base/compiler.h"

enum error_kind {
    FAIL_NONE = 0,
    FAIL_IO,        /* the disk or network failed; retrying may help */
    FAIL_NO_SPACE,  /* a volume or a configured limit is full */
    FAIL_CORRUPT,   /* stored data fails its checksum; retrying cannot help */
    FAIL_DENIED,    /* permission or credentials */
    FAIL_INVALID,   /* the input or configuration is wrong */
    FAIL_NOT_FOUND, /* the thing named does not exist */
    FAIL_BUSY,      /* someone else holds it, or a queue is full; retrying helps */
    FAIL_TOO_LARGE, /* a size from outside is over its limit */
};

enum { ERROR_CAUSE_BYTES = 512, ERROR_REMEDY_BYTES = 320 };

struct error {
    enum error_kind kind;
    char cause[ERROR_CAUSE_BYTES];   /* one line, outermost context first */
    char remedy[ERROR_REMEDY_BYTES]; /* what the reader can do; "" when there is nothing */
};

/* Each replaces what `err` held, remedy included, and returns false. */
bool error_set(struct error *err, enum error_kind kind, const char *cause, ...) PRINTF_LIKE(3, 4);

/* As error_set; appends ": <text of os_code>" and picks the kind from it (errno values). */
bool error_set_os(struct error *err, int os_code, const char *doing, ...) PRINTF_LIKE(3, 4);

/* Puts "<context>: " before the cause. Returns false. */
bool error_wrap(struct error *err, const char *context, ...) PRINTF_LIKE(2, 3);

/* Adds a remedy unless a deeper layer, which knew more, already did. Returns false. */
bool error_remedy(struct error *err, const char *remedy, ...) PRINTF_LIKE(2, 3);

/*
 * Prints "PROGRAM: cause" and "  fix: remedy" to standard error: the form every
 * program of ours uses. An error without a remedy gets what its kind suggests.
 */
void error_print(const char *program, const struct error *err);

/*
 * The exit code of a program that is done with `code`: 1 instead of 0, and a
 * message, when not all it printed could be written.
 */
int error_check_output(const char *program, int code);

#endif
