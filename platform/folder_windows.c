/*
 * Folders held open, for work in places where somebody else may rename and link
 * while we are at it. Each folder on the way is opened as itself and held
 * without leave to rename or delete it: while we hold them, the path means what
 * it meant when it was walked. A link or a junction below base is refused.
 */
#include "platform/fs_windows.h"

#include <aclapi.h>
#include <stdlib.h>

#include "base/memory.h"

enum { MAX_DEPTH = 64 };

struct fs_folder {
    char *path;
    HANDLE held[MAX_DEPTH];
    size_t count;
};

static char *entry_of(const struct fs_folder *folder, const char *name)
{
    return xasprintf("%s/%s", folder->path, name);
}

/* A name that means one entry of a folder: no path, no stream, none of Windows' own. */
static bool is_plain_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strcspn(name, "/\\:*?\"<>|") == len && name[len - 1] != ' ' && name[len - 1] != '.';
}

/* Opens folder->path and keeps it from being moved. */
static bool hold(struct fs_folder *folder, struct error *err)
{
    if (folder->count == MAX_DEPTH)
        return error_set(err, FAIL_INVALID, "'%s' is too deep", folder->path);
    WCHAR *wide = wide_path(folder->path, err);
    if (!wide)
        return false;
    HANDLE handle = CreateFileW(wide, FILE_READ_ATTRIBUTES | FILE_LIST_DIRECTORY,
                                FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                                FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    DWORD code = GetLastError();
    free(wide);
    if (handle == INVALID_HANDLE_VALUE)
        return error_set_windows(err, code, "cannot open '%s'", folder->path);
    folder->held[folder->count++] = handle;
    struct fs_stat info;
    if (!windows_fill_stat(handle, &info))
        return error_set_windows(err, GetLastError(), "cannot look at '%s'", folder->path);
    if (info.is_symlink && folder->count > 1) {
        error_set(err, FAIL_DENIED, "'%s' is a link to somewhere else", folder->path);
        return error_remedy(err, "replace the link by a folder");
    }
    if (!info.is_directory && !info.is_symlink)
        return error_set(err, FAIL_NOT_FOUND, "'%s' is not a folder", folder->path);
    return true;
}

static bool enter(struct fs_folder *folder, const char *name, struct error *err)
{
    if (!is_plain_name(name))
        return error_set(err, FAIL_INVALID, "'%s' is no usable name", name);
    char *path = entry_of(folder, name);
    free(folder->path);
    folder->path = path;
    return hold(folder, err);
}

struct fs_folder *windows_folder_open(void *disk, const struct fs_place *place, char **name,
                                      struct error *err)
{
    (void)disk;
    /* Without a root the home has its drive, which is then what is trusted. */
    const char *home = place->home;
    bool has_drive = home[0] && home[1] == ':';
    bool has_root = place->base[0] && strcmp(place->base, "/") != 0;
    struct fs_folder *folder = xcalloc(1, sizeof *folder);
    if (has_root)
        folder->path = xstrdup(place->base);
    else
        folder->path = has_drive ? xasprintf("%.2s/", home) : xstrdup("/");
    char *way = forward_slashes(xasprintf("%s/%s", has_drive ? home + 2 : home, place->path));
    bool ok = hold(folder, err);
    size_t len = strlen(folder->path);
    if (len > 0 && folder->path[len - 1] == '/')
        folder->path[len - 1] = '\0';
    char *at = way + strspn(way, "/");
    while (ok && at[strcspn(at, "/")] == '/') {
        char *end = at + strcspn(at, "/");
        *end = '\0';
        ok = enter(folder, at, err);
        at = end + 1 + strspn(end + 1, "/");
    }
    if (ok && !is_plain_name(at))
        ok = error_set(err, FAIL_INVALID, "'%s' is no usable name", at);
    if (ok)
        *name = xstrdup(at);
    free(way);
    if (ok)
        return folder;
    windows_folder_close(NULL, folder);
    return NULL;
}

void windows_folder_close(void *disk, struct fs_folder *folder)
{
    (void)disk;
    if (!folder)
        return;
    while (folder->count > 0)
        CloseHandle(folder->held[--folder->count]);
    free(folder->path);
    free(folder);
}

/* What is made in a home inherits the home's list: its user, the system, the administrators. */
bool windows_folder_make(void *disk, struct fs_folder *folder, const char *name, uint32_t mode,
                         struct error *err)
{
    (void)disk;
    (void)mode;
    char *path = entry_of(folder, name);
    WCHAR *wide = wide_path(path, err);
    bool ok = wide && CreateDirectoryW(wide, NULL);
    DWORD code = GetLastError();
    if (wide && !ok && code == ERROR_ALREADY_EXISTS)
        error_set(err, FAIL_BUSY, "'%s' exists", path);
    else if (wide && !ok)
        error_set_windows(err, code, "cannot create directory '%s'", path);
    free(wide);
    free(path);
    return ok;
}

/* By inheritance it is the user's already. */
bool windows_folder_own(void *disk, struct fs_folder *folder, const char *name, uint32_t uid,
                        uint32_t gid, struct error *err)
{
    (void)disk;
    (void)folder;
    (void)name;
    (void)uid;
    (void)gid;
    (void)err;
    return true;
}

struct fs_file *windows_folder_file(void *disk, struct fs_folder *folder, const char *name,
                                    unsigned how, uint32_t mode, struct error *err)
{
    (void)disk;
    (void)mode;
    if (!is_plain_name(name)) {
        error_set(err, FAIL_INVALID, "'%s' is no usable name", name);
        return NULL;
    }
    char *path = entry_of(folder, name);
    WCHAR *wide = wide_path(path, err);
    DWORD rights = how & FS_WRITE ? GENERIC_READ | GENERIC_WRITE | WRITE_DAC : GENERIC_READ;
    DWORD making = how & FS_EXCLUSIVE ? CREATE_NEW : how & FS_CREATE ? OPEN_ALWAYS : OPEN_EXISTING;
    HANDLE handle = INVALID_HANDLE_VALUE;
    if (wide)
        handle =
            CreateFileW(wide, rights, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                        making, FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    DWORD code = GetLastError();
    struct fs_file *file = NULL;
    struct fs_stat info;
    if (wide && handle == INVALID_HANDLE_VALUE)
        error_set_windows(err, code, "cannot open '%s'", path);
    else if (wide && (!windows_fill_stat(handle, &info) || !info.is_regular))
        error_set(err, FAIL_DENIED, "'%s' is not a regular file", path);
    else if (wide)
        file = windows_file_of(handle, path);
    if (!file && handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    free(wide);
    free(path);
    return file;
}

bool windows_folder_rename(void *disk, struct fs_folder *folder, const char *from, const char *to,
                           struct error *err)
{
    (void)disk;
    char *old_path = entry_of(folder, from), *new_path = entry_of(folder, to);
    bool ok = windows_rename(old_path, new_path, err);
    free(old_path);
    free(new_path);
    return ok;
}

bool windows_folder_remove(void *disk, struct fs_folder *folder, const char *name,
                           struct error *err)
{
    (void)disk;
    char *path = entry_of(folder, name);
    bool ok = windows_remove(path, err);
    free(path);
    return ok;
}

/* See sync_dir in fs_windows.c. */
bool windows_folder_sync(void *disk, struct fs_folder *folder, struct error *err)
{
    (void)disk;
    (void)folder;
    (void)err;
    return true;
}

bool windows_file_stat(void *disk, struct fs_file *file, struct fs_stat *out, struct error *err)
{
    (void)disk;
    return windows_fill_stat(file->handle, out) ||
           error_set_windows(err, GetLastError(), "cannot look at '%s'", file->path);
}

bool windows_file_own(void *disk, struct fs_file *file, uint32_t uid, uint32_t gid, uint32_t mode,
                      struct error *err)
{
    (void)disk;
    (void)file;
    (void)uid;
    (void)gid;
    (void)mode;
    (void)err;
    return true;
}

/* The access list, as far as our rights allow; file attributes are those of a new file. */
bool windows_file_copy_attributes(void *disk, struct fs_file *from, struct fs_file *to,
                                  struct error *err)
{
    (void)disk;
    (void)err;
    PACL list = NULL;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    if (GetSecurityInfo(from->handle, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, &list,
                        NULL, &descriptor) != ERROR_SUCCESS)
        return true;
    SECURITY_DESCRIPTOR_CONTROL control = 0;
    DWORD revision = 0;
    /* One that is inherited the new file has by itself. */
    if (GetSecurityDescriptorControl(descriptor, &control, &revision) &&
        (control & SE_DACL_PROTECTED))
        SetSecurityInfo(to->handle, SE_FILE_OBJECT,
                        DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, NULL, NULL,
                        list, NULL);
    LocalFree(descriptor);
    return true;
}
