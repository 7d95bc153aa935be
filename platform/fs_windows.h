/* What fs_windows.c and folder_windows.c share. For this folder only. */
#ifndef PLATFORM_FS_WINDOWS_H
#define PLATFORM_FS_WINDOWS_H

#include "platform/fs.h"
#include "platform/windows_text.h"

struct fs_file {
    HANDLE handle;
    char *path; /* for messages */
};

struct fs_file *windows_file_of(HANDLE handle, const char *path);
bool windows_fill_stat(HANDLE handle, struct fs_stat *out); /* false: see GetLastError() */

/* MoveFileExW, again for a moment while a virus scanner or indexer has the file open. */
bool windows_rename(const char *from, const char *to, struct error *err);
bool windows_remove(const char *path, struct error *err);

/* The folder entries of fs_real: see struct fs. */
struct fs_folder *windows_folder_open(void *disk, const struct fs_place *place, char **name,
                                      struct error *err);
void windows_folder_close(void *disk, struct fs_folder *folder);
bool windows_folder_make(void *disk, struct fs_folder *folder, const char *name, uint32_t mode,
                         struct error *err);
bool windows_folder_own(void *disk, struct fs_folder *folder, const char *name, uint32_t uid,
                        uint32_t gid, struct error *err);
struct fs_file *windows_folder_file(void *disk, struct fs_folder *folder, const char *name,
                                    unsigned how, uint32_t mode, struct error *err);
bool windows_folder_rename(void *disk, struct fs_folder *folder, const char *from, const char *to,
                           struct error *err);
bool windows_folder_remove(void *disk, struct fs_folder *folder, const char *name,
                           struct error *err);
bool windows_folder_sync(void *disk, struct fs_folder *folder, struct error *err);
bool windows_file_stat(void *disk, struct fs_file *file, struct fs_stat *out, struct error *err);
bool windows_file_own(void *disk, struct fs_file *file, uint32_t uid, uint32_t gid, uint32_t mode,
                      struct error *err);
bool windows_file_copy_attributes(void *disk, struct fs_file *from, struct fs_file *to,
                                  struct error *err);

#endif
