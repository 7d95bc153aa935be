/* The machine's disk on Linux and macOS. */
#include "platform/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "platform/fs_posix.h"

static struct fs_file *real_open(void *disk, const char *path, unsigned how, uint32_t mode,
                                 struct error *err)
{
    (void)disk;
    /* O_NONBLOCK changes nothing for files; a FIFO in a file's place would hold us up for ever. */
    int flags = O_CLOEXEC | (how & FS_WRITE ? O_RDWR : O_RDONLY | O_NONBLOCK);
    if (how & FS_CREATE)
        flags |= O_CREAT | O_NOFOLLOW; /* a link there is somebody's trap, not our file */
    if (how & FS_EXCLUSIVE)
        flags |= O_EXCL;
    int fd = open(path, flags, (mode_t)mode);
    if (fd < 0) {
        error_set_os(err, errno, "cannot open '%s'", path);
        return NULL;
    }
    return posix_file_of(fd, path);
}

struct fs_file *posix_file_of(int fd, const char *path)
{
    struct fs_file *file = xcalloc(1, sizeof *file);
    file->fd = fd;
    file->path = xstrdup(path);
    return file;
}

static void real_close(void *disk, struct fs_file *file)
{
    (void)disk;
    if (!file)
        return;
    close(file->fd);
    free(file->path);
    free(file);
}

static bool real_write_at(void *disk, struct fs_file *file, uint64_t offset, struct bytes content,
                          struct error *err)
{
    (void)disk;
    size_t done = 0;
    while (done < content.len) {
        ssize_t n =
            pwrite(file->fd, content.data + done, content.len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_os(err, n < 0 ? errno : EIO, "cannot write '%s'", file->path);
        done += (size_t)n;
    }
    return true;
}

static bool real_read_at(void *disk, struct fs_file *file, uint64_t offset, void *into, size_t len,
                         size_t *got, struct error *err)
{
    (void)disk;
    *got = 0;
    while (*got < len) {
        ssize_t n = pread(file->fd, (uint8_t *)into + *got, len - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_os(err, errno, "cannot read '%s'", file->path);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return true;
}

static bool real_truncate(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err)
{
    (void)disk;
    if (ftruncate(file->fd, (off_t)size_bytes) != 0)
        return error_set_os(err, errno, "cannot resize '%s'", file->path);
    return true;
}

static bool real_allocate(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err)
{
#if defined(__linux__)
    int code = posix_fallocate(file->fd, 0, (off_t)size_bytes);
    if (code == 0)
        return true;
    if (code != EOPNOTSUPP && code != EINVAL)
        return error_set_os(err, code, "cannot allocate %llu bytes for '%s'",
                            (unsigned long long)size_bytes, file->path);
#endif
    return real_truncate(disk, file, size_bytes, err);
}

static bool real_size(void *disk, struct fs_file *file, uint64_t *size_bytes, struct error *err)
{
    (void)disk;
    struct stat info;
    if (fstat(file->fd, &info) != 0)
        return error_set_os(err, errno, "cannot measure '%s'", file->path);
    *size_bytes = (uint64_t)info.st_size;
    return true;
}

static bool real_sync(void *disk, struct fs_file *file, struct error *err)
{
    (void)disk;
#if defined(__APPLE__)
    /* fsync() stops at the drive's cache; F_FULLFSYNC goes through it. */
    if (fcntl(file->fd, F_FULLFSYNC) == 0)
        return true;
    if (fsync(file->fd) != 0)
#else
    if (fdatasync(file->fd) != 0)
#endif
        return error_set_os(err, errno, "cannot sync '%s'", file->path);
    return true;
}

static bool real_lock(void *disk, struct fs_file *file, struct error *err)
{
    (void)disk;
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return error_set(err, FAIL_BUSY, "'%s' is in use by another process", file->path);
    return error_set_os(err, errno, "cannot lock '%s'", file->path);
}

static bool real_rename(void *disk, const char *from, const char *to, struct error *err)
{
    (void)disk;
    if (rename(from, to) != 0)
        return error_set_os(err, errno, "cannot rename '%s' to '%s'", from, to);
    return true;
}

static bool real_remove(void *disk, const char *path, struct error *err)
{
    (void)disk;
    if (remove(path) != 0)
        return error_set_os(err, errno, "cannot remove '%s'", path);
    return true;
}

static bool real_make_dir(void *disk, const char *path, uint32_t mode, struct error *err)
{
    (void)disk;
    if (mkdir(path, (mode_t)mode) == 0 || errno == EEXIST)
        return true;
    return error_set_os(err, errno, "cannot create directory '%s'", path);
}

static bool real_sync_dir(void *disk, const char *dir, struct error *err)
{
    (void)disk;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, errno, "cannot open directory '%s'", dir);
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    if (code != 0 && code != EINVAL) /* EINVAL: this file system has nothing to sync */
        return error_set_os(err, code, "cannot sync directory '%s'", dir);
    return true;
}

void posix_fill_stat(const struct stat *info, struct fs_stat *out)
{
#if defined(__APPLE__)
    struct timespec modified = info->st_mtimespec;
#else
    struct timespec modified = info->st_mtim;
#endif
    *out = (struct fs_stat){
        .size_bytes = (uint64_t)info->st_size,
        .modified_ns = (uint64_t)modified.tv_sec * NS_PER_S + (uint64_t)modified.tv_nsec,
        .mode = (uint32_t)info->st_mode & 07777,
        .is_directory = S_ISDIR(info->st_mode),
        .is_symlink = S_ISLNK(info->st_mode),
        .is_regular = S_ISREG(info->st_mode),
        .uid = (uint32_t)info->st_uid,
        .gid = (uint32_t)info->st_gid,
        .links = (uint32_t)info->st_nlink,
    };
}

static bool real_stat(void *disk, const char *path, struct fs_stat *out, struct error *err)
{
    (void)disk;
    struct stat info;
    if (lstat(path, &info) != 0)
        return error_set_os(err, errno, "cannot look at '%s'", path);
    posix_fill_stat(&info, out);
    return true;
}

static bool real_read_link(void *disk, const char *path, char **target, struct error *err)
{
    (void)disk;
    char text[PATH_MAX];
    ssize_t len = readlink(path, text, sizeof text);
    if (len < 0 || (size_t)len == sizeof text)
        return error_set_os(err, len < 0 ? errno : ENAMETOOLONG, "cannot read the link '%s'", path);
    *target = xstrndup(text, (size_t)len);
    return true;
}

static bool real_list(void *disk, const char *dir, fs_visit *visit, void *context,
                      struct error *err)
{
    (void)disk;
    DIR *open_dir = opendir(dir);
    if (!open_dir)
        return error_set_os(err, errno, "cannot open directory '%s'", dir);
    bool go_on = true;
    errno = 0;
    for (struct dirent *entry; go_on && (entry = readdir(open_dir));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            go_on = visit(context, entry->d_name);
        errno = 0;
    }
    int code = go_on ? errno : 0;
    closedir(open_dir);
    if (code != 0)
        return error_set_os(err, code, "cannot list directory '%s'", dir);
    return true;
}

static bool real_free_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    (void)disk;
    struct statvfs volume;
    if (statvfs(path, &volume) != 0)
        return error_set_os(err, errno, "cannot measure the volume of '%s'", path);
    *out = (uint64_t)volume.f_bavail * volume.f_frsize;
    return true;
}

static bool real_total_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    (void)disk;
    struct statvfs volume;
    if (statvfs(path, &volume) != 0)
        return error_set_os(err, errno, "cannot measure the volume of '%s'", path);
    *out = (uint64_t)volume.f_blocks * volume.f_frsize;
    return true;
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
    .folder_open = posix_folder_open,
    .folder_close = posix_folder_close,
    .folder_make = posix_folder_make,
    .folder_own = posix_folder_own,
    .folder_file = posix_folder_file,
    .folder_rename = posix_folder_rename,
    .folder_remove = posix_folder_remove,
    .folder_sync = posix_folder_sync,
    .file_stat = posix_file_stat,
    .file_own = posix_file_own,
    .file_copy_attributes = posix_file_copy_attributes,
};
