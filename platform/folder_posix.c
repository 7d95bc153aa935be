/*
 * Folders held open, for work in places where somebody else may rename and link
 * while we are at it. Every step is an openat() that follows nothing; a link is
 * read, judged, and the walk starts again with its target spelled out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/fs_posix.h"

enum { MAX_LINKS = 16, MAX_ATTRIBUTE_BYTES = 64 * 1024 };

struct fs_folder {
    int fd;
    char *path; /* for messages */
};

/* One way from base to the file, links spelled out so far. */
struct way {
    const struct fs_place *place;
    char *text;      /* "home/alice/.claude/settings.json", normalized, below base */
    size_t home_len; /* how much of text is home; 0 once a link of root's led elsewhere */
    int links;
};

/* Joins and removes ".", ".." and doubled slashes. NULL when ".." climbs out of base. */
static char *normalize(const char *folder, size_t folder_len, const char *more)
{
    size_t size = folder_len + strlen(more) + 2;
    char *out = xmalloc(size);
    size_t len = 0;
    char *joined = xasprintf("%.*s/%s", (int)folder_len, folder, more);
    for (char *save = NULL, *name = strtok_r(joined, "/", &save); name;
         name = strtok_r(NULL, "/", &save)) {
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            while (len > 0 && out[len - 1] != '/')
                len--;
            len -= len > 0;
            continue; /* above base there is base, as above / there is / */
        }
        if (len > 0)
            out[len++] = '/';
        memcpy(out + len, name, strlen(name));
        len += strlen(name);
    }
    out[len] = '\0';
    free(joined);
    return out;
}

static bool trusted(uint32_t owner, uint32_t uid)
{
    return owner == 0 || owner == (uint32_t)geteuid() || owner == uid;
}

/* Nobody but root, us and the owner of the place may put things into this folder. */
static bool check_folder(const struct stat *info, const struct fs_place *place, const char *path,
                         struct error *err)
{
    if (!trusted(info->st_uid, place->uid)) {
        error_set(err, FAIL_DENIED, "'%s' belongs to another user (uid %u)", path,
                  (unsigned)info->st_uid);
        return error_remedy(err, "give '%s' to its user: chown", path);
    }
    bool shared = info->st_mode & S_IWOTH;
    bool grouped = (info->st_mode & S_IWGRP) && info->st_gid != 0 && info->st_gid != place->gid &&
                   info->st_gid != getegid();
    if ((shared || grouped) && !(info->st_mode & S_ISVTX)) {
        error_set(err, FAIL_DENIED, "'%s' may be written to by other users", path);
        return error_remedy(err, "run: chmod %s '%s'", shared ? "o-w" : "g-w", path);
    }
    return true;
}

/* Spells out the link `name` found at text[0, at). False when it may not be followed. */
static bool follow(struct way *w, int folder, const char *name, size_t at, bool inside,
                   struct error *err)
{
    const struct fs_place *place = w->place;
    char target[PATH_MAX];
    struct stat info;
    ssize_t len = readlinkat(folder, name, target, sizeof target - 1);
    if (len < 0 || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_os(err, errno, "cannot read the link '%s/%s'", place->base, w->text);
    target[len] = '\0';
    if (++w->links > MAX_LINKS)
        return error_set(err, FAIL_DENIED, "too many links on the way to '%s'", place->path);

    bool roots = info.st_uid == 0 || info.st_uid == geteuid();
    if (!inside && !roots)
        return error_set(err, FAIL_DENIED, "'%s' is a symbolic link of uid %u", name,
                         (unsigned)info.st_uid);
    size_t folder_len = at > 0 ? at - 1 : 0;
    char *way =
        target[0] == '/' ? normalize("", 0, target) : normalize(w->text, folder_len, target);
    const char *rest = w->text + at + strlen(name);
    char *whole = normalize(way, strlen(way), rest);
    free(way);
    bool free_to_roam = !inside || (place->uid == 0 && roots);
    bool stays =
        w->home_len > 0 && strncmp(whole, w->text, w->home_len) == 0 && whole[w->home_len] == '/';
    if (!free_to_roam && !stays) {
        error_set(err, FAIL_DENIED, "'%s' is a symbolic link that leads out of '%s'", name,
                  place->home);
        free(whole);
        return error_remedy(err, "replace the link by a file, or let it point into the home");
    }
    if (!inside) { /* home itself lies elsewhere: its length is what is left before the path */
        size_t tail = strlen(w->text) - w->home_len;
        w->home_len = strlen(whole) > tail ? strlen(whole) - tail : 0;
    } else if (!stays) {
        w->home_len = 0;
    }
    free(w->text);
    w->text = whole;
    return true;
}

/* Walks w->text once. 1: `folder` and `name` are it; 0: a link was spelled out, again; -1: failed.
 */
static int walk(struct way *w, int *folder, char **name, struct error *err)
{
    const struct fs_place *place = w->place;
    int at = open(place->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) {
        error_set_os(err, errno, "cannot open '%s'", place->base);
        return -1;
    }
    size_t from = 0;
    for (;;) {
        size_t len = strcspn(w->text + from, "/");
        bool last = w->text[from + len] == '\0';
        char step[NAME_MAX + 1];
        snprintf(step, sizeof step, "%.*s", (int)len, w->text + from);
        char *so_far = xasprintf("%s/%.*s", strcmp(place->base, "/") == 0 ? "" : place->base,
                                 (int)(from + len), w->text);
        struct stat info;
        bool exists = fstatat(at, step, &info, AT_SYMLINK_NOFOLLOW) == 0;
        int result = -1, next = -1;
        if (len == 0 || len > NAME_MAX)
            error_set(err, FAIL_INVALID, "'%s' is no usable path", w->text);
        else if (exists && S_ISLNK(info.st_mode))
            result =
                follow(w, at, step, from, w->home_len > 0 && from >= w->home_len, err) ? 0 : -1;
        else if (last) {
            *name = xstrdup(step);
            *folder = at;
            at = -1;
            result = 1;
        } else if ((next = openat(at, step, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
            error_set_os(err, errno, "cannot open '%s'", so_far);
        else if (fstat(next, &info) == 0 && check_folder(&info, place, so_far, err))
            result = 2;
        free(so_far);
        if (at >= 0)
            close(at);
        if (result != 2) {
            if (next >= 0)
                close(next);
            return result;
        }
        at = next;
        from += len + 1;
    }
}

struct fs_folder *posix_folder_open(void *disk, const struct fs_place *place, char **name,
                                    struct error *err)
{
    (void)disk;
    struct way w = {.place = place};
    char *home = normalize("", 0, place->home);
    w.home_len = strlen(home);
    w.text = normalize(home, w.home_len, place->path);
    free(home);
    int fd = -1, result;
    do
        result = walk(&w, &fd, name, err);
    while (result == 0);
    struct fs_folder *folder = NULL;
    if (result == 1) {
        folder = xcalloc(1, sizeof *folder);
        folder->fd = fd;
        const char *slash = strrchr(w.text, '/');
        folder->path = xasprintf("%s/%.*s", strcmp(place->base, "/") == 0 ? "" : place->base,
                                 slash ? (int)(slash - w.text) : 0, w.text);
    }
    free(w.text);
    return folder;
}

void posix_folder_close(void *disk, struct fs_folder *folder)
{
    (void)disk;
    if (!folder)
        return;
    close(folder->fd);
    free(folder->path);
    free(folder);
}

bool posix_folder_make(void *disk, struct fs_folder *folder, const char *name, uint32_t mode,
                       struct error *err)
{
    (void)disk;
    if (mkdirat(folder->fd, name, (mode_t)mode) == 0)
        return true;
    if (errno == EEXIST)
        return error_set(err, FAIL_BUSY, "'%s/%s' exists", folder->path, name);
    return error_set_os(err, errno, "cannot create directory '%s/%s'", folder->path, name);
}

/* Below a --root, a process without rights keeps what it makes: there is nobody to give it to. */
static bool may_keep(int code)
{
    return code == EPERM && geteuid() != 0;
}

bool posix_folder_own(void *disk, struct fs_folder *folder, const char *name, uint32_t uid,
                      uint32_t gid, struct error *err)
{
    (void)disk;
    int fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, errno, "cannot open '%s/%s'", folder->path, name);
    int code = fchown(fd, (uid_t)uid, (gid_t)gid) == 0 ? 0 : errno;
    close(fd);
    if (code != 0 && !may_keep(code))
        return error_set_os(err, code, "cannot give '%s/%s' to its user", folder->path, name);
    return true;
}

struct fs_file *posix_folder_file(void *disk, struct fs_folder *folder, const char *name,
                                  unsigned how, uint32_t mode, struct error *err)
{
    (void)disk;
    /* O_NONBLOCK: a FIFO in its place must not hold us up. */
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (how & FS_WRITE ? O_RDWR : O_RDONLY);
    if (how & FS_CREATE)
        flags |= O_CREAT;
    if (how & FS_EXCLUSIVE)
        flags |= O_EXCL;
    int fd = openat(folder->fd, name, flags, (mode_t)mode);
    char *path = xasprintf("%s/%s", folder->path, name);
    struct fs_file *file = NULL;
    struct stat info;
    if (fd < 0)
        error_set_os(err, errno, "cannot open '%s'", path);
    else if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        error_set(err, FAIL_DENIED, "'%s' is not a regular file", path);
    else
        file = posix_file_of(fd, path);
    if (!file && fd >= 0)
        close(fd);
    free(path);
    return file;
}

bool posix_folder_rename(void *disk, struct fs_folder *folder, const char *from, const char *to,
                         struct error *err)
{
    (void)disk;
    if (renameat(folder->fd, from, folder->fd, to) != 0)
        return error_set_os(err, errno, "cannot rename '%s/%s' to '%s'", folder->path, from, to);
    return true;
}

bool posix_folder_remove(void *disk, struct fs_folder *folder, const char *name, struct error *err)
{
    (void)disk;
    if (unlinkat(folder->fd, name, 0) == 0)
        return true;
    if ((errno == EISDIR || errno == EPERM) && unlinkat(folder->fd, name, AT_REMOVEDIR) == 0)
        return true;
    return error_set_os(err, errno, "cannot remove '%s/%s'", folder->path, name);
}

bool posix_folder_sync(void *disk, struct fs_folder *folder, struct error *err)
{
    (void)disk;
    if (fsync(folder->fd) != 0 && errno != EINVAL)
        return error_set_os(err, errno, "cannot sync directory '%s'", folder->path);
    return true;
}

bool posix_file_stat(void *disk, struct fs_file *file, struct fs_stat *out, struct error *err)
{
    (void)disk;
    struct stat info;
    if (fstat(file->fd, &info) != 0)
        return error_set_os(err, errno, "cannot look at '%s'", file->path);
    posix_fill_stat(&info, out);
    return true;
}

bool posix_file_own(void *disk, struct fs_file *file, uint32_t uid, uint32_t gid, uint32_t mode,
                    struct error *err)
{
    (void)disk;
    if (fchown(file->fd, (uid_t)uid, (gid_t)gid) != 0 && !may_keep(errno))
        return error_set_os(err, errno, "cannot give '%s' to its user", file->path);
    if (fchmod(file->fd, (mode_t)mode) != 0)
        return error_set_os(err, errno, "cannot set the mode of '%s'", file->path);
    return true;
}

static ssize_t list_names(int fd, char *into, size_t size)
{
#if defined(__APPLE__)
    return flistxattr(fd, into, size, 0);
#else
    return flistxattr(fd, into, size);
#endif
}

static ssize_t get_value(int fd, const char *name, void *into, size_t size)
{
#if defined(__APPLE__)
    return fgetxattr(fd, name, into, size, 0, 0);
#else
    return fgetxattr(fd, name, into, size);
#endif
}

static int set_value(int fd, const char *name, const void *value, size_t size)
{
#if defined(__APPLE__)
    return fsetxattr(fd, name, value, size, 0, 0);
#else
    return fsetxattr(fd, name, value, size, 0);
#endif
}

bool posix_file_copy_attributes(void *disk, struct fs_file *from, struct fs_file *to,
                                struct error *err)
{
    (void)disk;
    char *names = xmalloc(MAX_ATTRIBUTE_BYTES), *value = xmalloc(MAX_ATTRIBUTE_BYTES);
    ssize_t len = list_names(from->fd, names, MAX_ATTRIBUTE_BYTES);
    int code = len < 0 && errno != ENOTSUP ? errno : 0;
    for (ssize_t at = 0; code == 0 && at < len; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t size = get_value(from->fd, names + at, value, MAX_ATTRIBUTE_BYTES);
        if (size >= 0 && set_value(to->fd, names + at, value, (size_t)size) != 0) {
            /* Security labels are the kernel's to give; ones of a user must come along. */
            bool users = strncmp(names + at, "user.", 5) == 0;
            code = users && errno != ENOTSUP ? errno : 0;
        }
    }
    free(names);
    free(value);
    if (code != 0)
        return error_set_os(err, code, "cannot copy the attributes of '%s'", from->path);
    return true;
}
