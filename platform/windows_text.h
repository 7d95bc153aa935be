/*
 * Text and errors between our UTF-8 and the UTF-16 of Windows. For this folder only, as is
 * every use of <windows.h>.
 */
#ifndef PLATFORM_WINDOWS_TEXT_H
#define PLATFORM_WINDOWS_TEXT_H

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <winsock2.h>

#include <windows.h>

#include "base/bytes.h"
#include "base/error.h"

/* New strings of the caller's. What is no valid text becomes U+FFFD. */
WCHAR *wide_of(const char *text);
char *utf8_of(const WCHAR *text);

/*
 * An absolute path as the system wants it: backslashes, and the prefix that lifts the limit of
 * 260 characters where it is needed. NULL (with `err`) when it is no path.
 */
WCHAR *wide_path(const char *path, struct error *err);

/* Turns backslashes into the slashes that our code joins and splits paths with. Returns `path`. */
char *forward_slashes(char *path);

/* As error_set_os() for a code of GetLastError(). */
bool error_set_windows(struct error *err, DWORD code, const char *doing, ...) PRINTF_LIKE(3, 4);

/*
 * Who may use what is made with POSIX `mode`: always the system, the administrators and the user
 * of this process; everybody else may read where the mode says so. Nothing is inherited from the
 * folder above, whose list may let any user write (that of C:\ProgramData does). Free the
 * descriptor with LocalFree(); NULL on failure.
 */
PSECURITY_DESCRIPTOR descriptor_of_mode(unsigned mode, bool is_directory);

/* The security identifier of a token's user, as text ("S-1-5-18"). The caller frees; NULL on
 * failure. */
char *sid_of_token(HANDLE token);

/* The number of a process's user, that of the system's own account being root's 0. False when it is
 * not to be had. */
bool uid_of_process(HANDLE process, uint32_t *out);

/* Nanoseconds since 1970. */
uint64_t wall_ns_of(FILETIME time);

/* A string of the registry, REG_SZ or REG_EXPAND_SZ, or NULL. The caller frees. */
char *registry_text(HKEY root, const char *key, const char *name);

#endif
