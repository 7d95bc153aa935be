/* What fs_posix.c and folder_posix.c share. For this folder only. */
#ifndef PLATFORM_FS_POSIX_H
#define PLATFORM_FS_POSIX_H

#include <sys/stat.h>

#include "platform/fs.h"

struct fs_file {
    int fd;
    char *path; /* for messages */
};

struct fs_file *posix_file_of(int fd, const char *path);
void posix_fill_stat(const struct stat *info, struct fs_stat *out);

/* The folder entries of fs_real: see struct fs. */
struct fs_folder *posix_folder_open(void *disk, const struct fs_place *place, char **name,
                                    struct error *err);
void posix_folder_close(void *disk, struct fs_folder *folder);
bool posix_folder_make(void *disk, struct fs_folder *folder, const char *name, uint32_t mode,
                       struct error *err);
bool posix_folder_own(void *disk, struct fs_folder *folder, const char *name, uint32_t uid,
                      uint32_t gid, struct error *err);
struct fs_file *posix_folder_file(void *disk, struct fs_folder *folder, const char *name,
                                  unsigned how, uint32_t mode, struct error *err);
bool posix_folder_rename(void *disk, struct fs_folder *folder, const char *from, const char *to,
                         struct error *err);
bool posix_folder_remove(void *disk, struct fs_folder *folder, const char *name, struct error *err);
bool posix_folder_sync(void *disk, struct fs_folder *folder, struct error *err);
bool posix_file_stat(void *disk, struct fs_file *file, struct fs_stat *out, struct error *err);
bool posix_file_own(void *disk, struct fs_file *file, uint32_t uid, uint32_t gid, uint32_t mode,
                    struct error *err);
bool posix_file_copy_attributes(void *disk, struct fs_file *from, struct fs_file *to,
                                struct error *err);

#endif
