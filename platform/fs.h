/*
 * The disk as a table, so a test can hand in one that fails and forgets.
 *
 * "Durable" means it survives power loss, not only a killed process. A file's
 * content and its name become durable separately: sync() makes content (and
 * the size) durable, sync_dir() makes the names in a directory durable.
 *
 * fs_real (platform/fs_posix.c, platform/fs_windows.c) is the machine's disk;
 * tests/support/fault_fs.h is the one that loses power on demand. Any thread
 * may use fs_real; one file handle is used by one thread at a time, except
 * that read_at() may run beside anything.
 */
#ifndef PLATFORM_FS_H
#define PLATFORM_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct fs_file;   /* opaque; each disk defines its own */
struct fs_folder; /* opaque: a directory held open, whatever its name becomes */

enum fs_open {
    FS_READ = 1,      /* existing file, read only */
    FS_WRITE = 2,     /* existing file, read and write */
    FS_CREATE = 4,    /* with FS_WRITE: create when missing */
    FS_EXCLUSIVE = 8, /* with FS_CREATE: fail when it exists */
};

struct fs_stat {
    uint64_t size_bytes;
    uint64_t modified_ns;
    uint32_t mode; /* POSIX permission bits; 0 where the system has none */
    bool is_directory;
    bool is_symlink; /* the name itself; stat() does not follow */
    bool is_regular;
    uint32_t uid, gid; /* 0 where the system has none */
    uint32_t links;    /* names this file has */
};

/*
 * A file in a place where somebody without our rights may move things about: a
 * user's home. Walked one name at a time from `base`, each folder held open.
 */
struct fs_place {
    const char *base; /* trusted as it is: the --root, "/" */
    const char *home; /* below base; links on the way to it count only when root's */
    const char *path; /* below home, e.g. ".claude/settings.json" */
    uint32_t uid;     /* who owns home; 0: links in it that are root's may lead anywhere */
    uint32_t gid;     /* whose members may write to its folders */
};

/* `name` is the entry without its directory, borrowed for the call. Return false to stop. */
typedef bool fs_visit(void *context, const char *name);

struct fs {
    void *disk; /* passed to every operation; NULL for the real disk */

    /* `mode` is the POSIX permission of a created file. NULL on failure; the caller closes. */
    struct fs_file *(*open)(void *disk, const char *path, unsigned how, uint32_t mode,
                            struct error *err);
    void (*close)(void *disk, struct fs_file *file); /* NULL is fine; does not sync */

    /* All or an error. A failed write may have changed any of the bytes in its range. */
    bool (*write_at)(void *disk, struct fs_file *file, uint64_t offset, struct bytes content,
                     struct error *err);

    /* Reads up to `len` bytes; *got < len only at the end of the file. */
    bool (*read_at)(void *disk, struct fs_file *file, uint64_t offset, void *into, size_t len,
                    size_t *got, struct error *err);

    /* Gives the file this size with its blocks allocated; new bytes read as zero. */
    bool (*allocate)(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err);
    bool (*truncate)(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err);
    bool (*size)(void *disk, struct fs_file *file, uint64_t *size_bytes, struct error *err);

    /* fdatasync, F_FULLFSYNC, FlushFileBuffers. After a failure nothing written since the
     * last success can be relied on, and trying again proves nothing. */
    bool (*sync)(void *disk, struct fs_file *file, struct error *err);

    /* An exclusive lock held until close; FAIL_BUSY when another process or handle has it. */
    bool (*lock)(void *disk, struct fs_file *file, struct error *err);

    bool (*rename)(void *disk, const char *from, const char *to, struct error *err); /* replaces */
    bool (*remove)(void *disk, const char *path, struct error *err);
    bool (*make_dir)(void *disk, const char *path, uint32_t mode,
                     struct error *err); /* exists: fine */
    bool (*sync_dir)(void *disk, const char *dir, struct error *err);
    bool (*stat)(void *disk, const char *path, struct fs_stat *out, struct error *err);
    /* What the symbolic link `path` says, in `target` (the caller frees). */
    bool (*read_link)(void *disk, const char *path, char **target, struct error *err);
    bool (*list)(void *disk, const char *dir, fs_visit *visit, void *context, struct error *err);
    /* Of the volume `path` is on: what we may still use, and its size. */
    bool (*free_bytes)(void *disk, const char *path, uint64_t *out, struct error *err);
    bool (*total_bytes)(void *disk, const char *path, uint64_t *out, struct error *err);

    /*
     * Opens the folder that holds the file of `place`, links followed, and gives the file's last
     * name in `name` (the caller frees). FAIL_DENIED when the way leads out of home by a link, or
     * through a folder that someone other than root, this process and place->uid may write to.
     * FAIL_NOT_FOUND when a folder on the way is missing. The names below are entries of `folder`,
     * and links are never followed.
     */
    struct fs_folder *(*folder_open)(void *disk, const struct fs_place *place, char **name,
                                     struct error *err);
    void (*folder_close)(void *disk, struct fs_folder *folder); /* NULL is fine */
    bool (*folder_make)(void *disk, struct fs_folder *folder, const char *name, uint32_t mode,
                        struct error *err); /* FAIL_BUSY when it exists */
    bool (*folder_own)(void *disk, struct fs_folder *folder, const char *name, uint32_t uid,
                       uint32_t gid, struct error *err); /* a folder's owner */
    /* As open(); FAIL_DENIED for anything that is not a regular file. */
    struct fs_file *(*folder_file)(void *disk, struct fs_folder *folder, const char *name,
                                   unsigned how, uint32_t mode, struct error *err);
    bool (*folder_rename)(void *disk, struct fs_folder *folder, const char *from, const char *to,
                          struct error *err);
    bool (*folder_remove)(void *disk, struct fs_folder *folder, const char *name,
                          struct error *err); /* a file, or a folder that is empty */
    bool (*folder_sync)(void *disk, struct fs_folder *folder, struct error *err);

    bool (*file_stat)(void *disk, struct fs_file *file, struct fs_stat *out, struct error *err);
    bool (*file_own)(void *disk, struct fs_file *file, uint32_t uid, uint32_t gid, uint32_t mode,
                     struct error *err);
    /* Gives `to` the extended attributes of `from`, access lists included, as far as the disk and
     * our rights allow. */
    bool (*file_copy_attributes)(void *disk, struct fs_file *from, struct fs_file *to,
                                 struct error *err);
};

extern const struct fs fs_real;

/* Reads a whole file into `out` (emptied first). FAIL_TOO_LARGE past its ceiling. */
MUST_USE bool fs_read_file(const struct fs *fs, const char *path, struct buffer *out,
                           struct error *err);

/*
 * Puts `content` at `path` so that after any crash the old or the new content
 * is there, whole: writes "<path>.new", syncs, renames, syncs the directory.
 */
MUST_USE bool fs_replace_file(const struct fs *fs, const char *path, struct bytes content,
                              uint32_t mode, struct error *err);

/*
 * The same for the entry `name` of a folder that may be somebody else's, as the service's is root's
 * own to write into: no link is followed, nothing that lies there is opened, and the file belongs
 * to who owns the folder.
 */
MUST_USE bool fs_replace_file_in(const struct fs *fs, const char *folder, const char *name,
                                 struct bytes content, uint32_t mode, struct error *err);

/* The rest of a file of folder_file(), as fs_read_file. */
MUST_USE bool fs_read_open_file(const struct fs *fs, struct fs_file *file, const char *path,
                                struct buffer *out, struct error *err);

/* make_dir for every missing folder of `path`. */
MUST_USE bool fs_make_dirs(const struct fs *fs, const char *path, uint32_t mode, struct error *err);

#endif
