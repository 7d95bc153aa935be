#include "server/store/sqlite_backup.h"

#include "platform/fs.h"
#include "server/store/sqlite_db.h"

bool sqlite_backup(const char *location, const char *target, struct error *err)
{
    struct fs_stat there; /* opening for writing would make an empty database */
    if (!fs_real.stat(fs_real.disk, location, &there, err))
        return error_wrap(err, "there is nothing to back up");
    sqlite3 *db = sqlite_open(location, true, err);
    sqlite3_stmt *copy = db ? sqlite_prepare(db, "VACUUM INTO ?1", err) : NULL;
    if (copy)
        sqlite_bind_bytes(copy, 1, bytes_of(target));
    /* One statement, one snapshot: writers go on, and what they commit meanwhile is not in it. */
    bool done = copy && sqlite_do(db, copy, err);
    sqlite3_finalize(copy);
    sqlite3_close(db);

    /* VACUUM INTO leaves it to the system when the copy reaches the disk. */
    struct fs_file *file = done ? fs_real.open(fs_real.disk, target, FS_WRITE, 0600, err) : NULL;
    done = file && fs_real.sync(fs_real.disk, file, err);
    fs_real.close(fs_real.disk, file);
    return done || error_wrap(err, "cannot back up to '%s'", target);
}
