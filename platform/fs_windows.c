/* The machine's disk on Windows. */
#include "platform/fs_windows.h"

#include <stdlib.h>
#include <winioctl.h>

#include "base/clock.h"
#include "base/memory.h"

enum {
    SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
    RENAME_TRIES = 20,
    RENAME_PAUSE_MS = 25,
    STEP_BYTES = 64 * 1024 * 1024, /* one call takes a DWORD */
    REPARSE_BYTES = 16 * 1024,
};

#define EPOCH_1601_SECONDS UINT64_C(11644473600)

struct fs_file *windows_file_of(HANDLE handle, const char *path)
{
    struct fs_file *file = xcalloc(1, sizeof *file);
    file->handle = handle;
    file->path = xstrdup(path);
    return file;
}

static DWORD disposition_of(unsigned how)
{
    if (how & FS_EXCLUSIVE)
        return CREATE_NEW;
    return how & FS_CREATE ? OPEN_ALWAYS : OPEN_EXISTING;
}

static struct fs_file *real_open(void *disk, const char *path, unsigned how, uint32_t mode,
                                 struct error *err)
{
    (void)disk;
    WCHAR *wide = wide_path(path, err);
    if (!wide)
        return NULL;
    SECURITY_ATTRIBUTES access = {.nLength = sizeof access};
    if (how & FS_CREATE)
        access.lpSecurityDescriptor = descriptor_of_mode(mode, false);
    DWORD rights = how & FS_WRITE ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ;
    HANDLE handle =
        CreateFileW(wide, rights, SHARE_ALL, access.lpSecurityDescriptor ? &access : NULL,
                    disposition_of(how),
                    how & FS_CREATE ? FILE_FLAG_OPEN_REPARSE_POINT : FILE_ATTRIBUTE_NORMAL, NULL);
    DWORD code = GetLastError();
    if (access.lpSecurityDescriptor)
        LocalFree(access.lpSecurityDescriptor);
    free(wide);
    if (handle == INVALID_HANDLE_VALUE) {
        error_set_windows(err, code, "cannot open '%s'", path);
        return NULL;
    }
    /* "NUL", "CON", a pipe; or a link, where creating through it is what a trap is for. */
    struct fs_stat info = {0};
    if (GetFileType(handle) != FILE_TYPE_DISK || !windows_fill_stat(handle, &info) ||
        ((how & FS_CREATE) && info.is_symlink)) {
        CloseHandle(handle);
        error_set(err, info.is_symlink ? FAIL_DENIED : FAIL_INVALID, "'%s' is not a file", path);
        return NULL;
    }
    return windows_file_of(handle, path);
}

static void real_close(void *disk, struct fs_file *file)
{
    (void)disk;
    if (!file)
        return;
    CloseHandle(file->handle);
    free(file->path);
    free(file);
}

static OVERLAPPED place_at(uint64_t offset)
{
    return (OVERLAPPED){.Offset = (DWORD)(offset & UINT32_MAX),
                        .OffsetHigh = (DWORD)(offset >> 32)};
}

static DWORD step_of(size_t left)
{
    return (DWORD)(left < STEP_BYTES ? left : STEP_BYTES);
}

static bool real_write_at(void *disk, struct fs_file *file, uint64_t offset, struct bytes content,
                          struct error *err)
{
    (void)disk;
    for (size_t done = 0; done < content.len;) {
        OVERLAPPED at = place_at(offset + done);
        DWORD n = 0;
        if (!WriteFile(file->handle, content.data + done, step_of(content.len - done), &n, &at) ||
            n == 0)
            return error_set_windows(err, GetLastError(), "cannot write '%s'", file->path);
        done += n;
    }
    return true;
}

static bool real_read_at(void *disk, struct fs_file *file, uint64_t offset, void *into, size_t len,
                         size_t *got, struct error *err)
{
    (void)disk;
    *got = 0;
    while (*got < len) {
        OVERLAPPED at = place_at(offset + *got);
        DWORD n = 0;
        if (!ReadFile(file->handle, (uint8_t *)into + *got, step_of(len - *got), &n, &at)) {
            DWORD code = GetLastError();
            if (code == ERROR_HANDLE_EOF)
                break;
            return error_set_windows(err, code, "cannot read '%s'", file->path);
        }
        if (n == 0)
            break;
        *got += n;
    }
    return true;
}

static bool real_truncate(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err)
{
    (void)disk;
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size_bytes};
    if (!SetFileInformationByHandle(file->handle, FileEndOfFileInfo, &end, sizeof end))
        return error_set_windows(err, GetLastError(), "cannot resize '%s'", file->path);
    return true;
}

/* Setting the end allocates: NTFS reserves the clusters of a file that is not sparse. */
static bool real_allocate(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err)
{
    return real_truncate(disk, file, size_bytes, err);
}

static bool real_size(void *disk, struct fs_file *file, uint64_t *size_bytes, struct error *err)
{
    (void)disk;
    LARGE_INTEGER size;
    if (!GetFileSizeEx(file->handle, &size))
        return error_set_windows(err, GetLastError(), "cannot measure '%s'", file->path);
    *size_bytes = (uint64_t)size.QuadPart;
    return true;
}

static bool real_sync(void *disk, struct fs_file *file, struct error *err)
{
    (void)disk;
    if (!FlushFileBuffers(file->handle))
        return error_set_windows(err, GetLastError(), "cannot sync '%s'", file->path);
    return true;
}

/* Locks here forbid reading, too: one byte that no file reaches is locked. */
static bool real_lock(void *disk, struct fs_file *file, struct error *err)
{
    (void)disk;
    OVERLAPPED at = place_at(UINT64_C(0x7FFFFFFFFFFFFFFE));
    if (LockFileEx(file->handle, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at))
        return true;
    DWORD code = GetLastError();
    if (code == ERROR_LOCK_VIOLATION || code == ERROR_IO_PENDING)
        return error_set(err, FAIL_BUSY, "'%s' is in use by another process", file->path);
    return error_set_windows(err, code, "cannot lock '%s'", file->path);
}

bool windows_rename(const char *from, const char *to, struct error *err)
{
    WCHAR *wide_from = wide_path(from, err);
    WCHAR *wide_to = wide_from ? wide_path(to, err) : NULL;
    DWORD code = ERROR_SUCCESS;
    bool ok = false;
    for (int i = 0; wide_to && !ok && i < RENAME_TRIES; i++) {
        ok = MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
        code = ok ? ERROR_SUCCESS : GetLastError();
        if (code != ERROR_SHARING_VIOLATION && code != ERROR_ACCESS_DENIED)
            break;
        Sleep(RENAME_PAUSE_MS);
    }
    if (wide_to && !ok)
        error_set_windows(err, code, "cannot rename '%s' to '%s'", from, to);
    free(wide_to);
    free(wide_from);
    return ok;
}

bool windows_remove(const char *path, struct error *err)
{
    WCHAR *wide = wide_path(path, err);
    if (!wide)
        return false;
    DWORD attributes = GetFileAttributesW(wide);
    bool is_directory =
        attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
    bool ok = is_directory ? RemoveDirectoryW(wide) : DeleteFileW(wide);
    DWORD code = GetLastError();
    free(wide);
    return ok || error_set_windows(err, code, "cannot remove '%s'", path);
}

static bool real_rename(void *disk, const char *from, const char *to, struct error *err)
{
    (void)disk;
    return windows_rename(from, to, err);
}

static bool real_remove(void *disk, const char *path, struct error *err)
{
    (void)disk;
    return windows_remove(path, err);
}

static bool real_make_dir(void *disk, const char *path, uint32_t mode, struct error *err)
{
    (void)disk;
    WCHAR *wide = wide_path(path, err);
    if (!wide)
        return false;
    SECURITY_ATTRIBUTES access = {.nLength = sizeof access,
                                  .lpSecurityDescriptor = descriptor_of_mode(mode, true)};
    bool ok = CreateDirectoryW(wide, access.lpSecurityDescriptor ? &access : NULL);
    DWORD code = ok ? ERROR_SUCCESS : GetLastError();
    if (access.lpSecurityDescriptor)
        LocalFree(access.lpSecurityDescriptor);
    DWORD attributes = GetFileAttributesW(wide);
    free(wide);
    if (ok || (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY)))
        return true;
    return error_set_windows(err, code, "cannot create directory '%s'", path);
}

/*
 * Names need no sync of their own: NTFS journals them in order, and MOVEFILE_WRITE_THROUGH has
 * waited for that of a rename. A folder that is missing is still an error, as elsewhere.
 */
static bool real_sync_dir(void *disk, const char *dir, struct error *err)
{
    (void)disk;
    WCHAR *wide = wide_path(dir, err);
    if (!wide)
        return false;
    DWORD attributes = GetFileAttributesW(wide);
    DWORD code = GetLastError();
    free(wide);
    if (attributes == INVALID_FILE_ATTRIBUTES)
        return error_set_windows(err, code, "cannot open directory '%s'", dir);
    if (!(attributes & FILE_ATTRIBUTE_DIRECTORY))
        return error_set_windows(err, ERROR_DIRECTORY, "cannot open directory '%s'", dir);
    return true;
}

static uint64_t unix_ns(FILETIME time)
{
    uint64_t ticks = (uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime; /* of 100 ns */
    uint64_t epoch = EPOCH_1601_SECONDS * 10000000;
    return ticks > epoch ? (ticks - epoch) * 100 : 0;
}

bool windows_fill_stat(HANDLE handle, struct fs_stat *out)
{
    BY_HANDLE_FILE_INFORMATION info;
    FILE_ATTRIBUTE_TAG_INFO tag = {0};
    if (!GetFileInformationByHandle(handle, &info))
        return false;
    if ((info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) &&
        !GetFileInformationByHandleEx(handle, FileAttributeTagInfo, &tag, sizeof tag))
        return false;
    /* A link or a junction; other tags (files kept in a cloud) are plain files to us. */
    bool is_link = (info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) &&
                   IsReparseTagNameSurrogate(tag.ReparseTag);
    bool is_directory = !is_link && (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
    *out = (struct fs_stat){
        .size_bytes = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow,
        .modified_ns = unix_ns(info.ftLastWriteTime),
        .is_directory = is_directory,
        .is_symlink = is_link,
        .is_regular = !is_link && !is_directory && GetFileType(handle) == FILE_TYPE_DISK,
        .links = info.nNumberOfLinks,
    };
    return true;
}

/* Opens the name itself, a link included, to look at it. */
static HANDLE open_to_look(const WCHAR *wide)
{
    return CreateFileW(wide, FILE_READ_ATTRIBUTES, SHARE_ALL, NULL, OPEN_EXISTING,
                       FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
}

static bool real_stat(void *disk, const char *path, struct fs_stat *out, struct error *err)
{
    (void)disk;
    WCHAR *wide = wide_path(path, err);
    if (!wide)
        return false;
    HANDLE handle = open_to_look(wide);
    bool ok = handle != INVALID_HANDLE_VALUE && windows_fill_stat(handle, out);
    DWORD code = GetLastError();
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    free(wide);
    return ok || error_set_windows(err, code, "cannot look at '%s'", path);
}

/* What FSCTL_GET_REPARSE_POINT answers, from the documentation of REPARSE_DATA_BUFFER. */
struct reparse {
    DWORD tag;
    WORD data_bytes, reserved;
    WORD substitute_offset, substitute_bytes, print_offset, print_bytes;
    uint8_t rest[REPARSE_BYTES - 16]; /* symbolic links: 4 bytes of flags, then the names */
};

static bool real_read_link(void *disk, const char *path, char **target, struct error *err)
{
    (void)disk;
    WCHAR *wide = wide_path(path, err);
    if (!wide)
        return false;
    HANDLE handle = open_to_look(wide);
    free(wide);
    struct reparse *data = xcalloc(1, sizeof *data);
    DWORD size = 0, code = ERROR_SUCCESS;
    if (handle == INVALID_HANDLE_VALUE ||
        !DeviceIoControl(handle, FSCTL_GET_REPARSE_POINT, NULL, 0, data, sizeof *data, &size, NULL))
        code = GetLastError();
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    size_t names = data->tag == IO_REPARSE_TAG_SYMLINK ? 4u : 0u;
    bool known = data->tag == IO_REPARSE_TAG_SYMLINK || data->tag == IO_REPARSE_TAG_MOUNT_POINT;
    size_t from = names + data->print_offset;
    bool ok = code == ERROR_SUCCESS && known && from + data->print_bytes <= sizeof data->rest;
    if (ok) {
        WCHAR *text = xcalloc(data->print_bytes / sizeof(WCHAR) + 1u, sizeof *text);
        memcpy(text, data->rest + from, data->print_bytes);
        *target = forward_slashes(utf8_of(text));
        free(text);
    } else {
        error_set_windows(err, code == ERROR_SUCCESS ? ERROR_NOT_A_REPARSE_POINT : code,
                          "cannot read the link '%s'", path);
    }
    free(data);
    return ok;
}

static bool real_list(void *disk, const char *dir, fs_visit *visit, void *context,
                      struct error *err)
{
    (void)disk;
    char *pattern = xasprintf("%s/*", dir);
    WCHAR *wide = wide_path(pattern, err);
    free(pattern);
    if (!wide)
        return false;
    WIN32_FIND_DATAW entry;
    HANDLE search = FindFirstFileW(wide, &entry);
    DWORD code = GetLastError();
    free(wide);
    if (search == INVALID_HANDLE_VALUE)
        return code == ERROR_FILE_NOT_FOUND ||
               error_set_windows(err, code, "cannot list directory '%s'", dir);
    bool more = true;
    while (more) {
        char *name = utf8_of(entry.cFileName);
        bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        more = (is_dots || visit(context, name)) && FindNextFileW(search, &entry);
        free(name);
    }
    FindClose(search);
    return true;
}

static bool measure_volume(const char *path, uint64_t *available, uint64_t *total,
                           struct error *err)
{
    WCHAR *wide = wide_path(path, err);
    if (!wide)
        return false;
    ULARGE_INTEGER ours, all;
    bool ok = GetDiskFreeSpaceExW(wide, &ours, &all, NULL);
    DWORD code = GetLastError();
    free(wide);
    if (!ok)
        return error_set_windows(err, code, "cannot measure the volume of '%s'", path);
    *available = ours.QuadPart;
    *total = all.QuadPart;
    return true;
}

static bool real_free_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    uint64_t total;
    (void)disk;
    return measure_volume(path, out, &total, err);
}

static bool real_total_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    uint64_t available;
    (void)disk;
    return measure_volume(path, &available, out, err);
}

const struct fs fs_real = {
    .open = real_open,
    .close = real_close,
    .write_at = real_write_at,
    .read_at = real_read_at,
    .allocate = real_allocate,
    .truncate = real_truncate,
    .size = real_size,
    .sync = real_sync,
    .lock = real_lock,
    .rename = real_rename,
    .remove = real_remove,
    .make_dir = real_make_dir,
    .sync_dir = real_sync_dir,
    .stat = real_stat,
    .read_link = real_read_link,
    .list = real_list,
    .free_bytes = real_free_bytes,
    .total_bytes = real_total_bytes,
    .folder_open = windows_folder_open,
    .folder_close = windows_folder_close,
    .folder_make = windows_folder_make,
    .folder_own = windows_folder_own,
    .folder_file = windows_folder_file,
    .folder_rename = windows_folder_rename,
    .folder_remove = windows_folder_remove,
    .folder_sync = windows_folder_sync,
    .file_stat = windows_file_stat,
    .file_own = windows_file_own,
    .file_copy_attributes = windows_file_copy_attributes,
};
