/* Online backup of an SQLite store: private to server/store. */
#ifndef SERVER_STORE_SQLITE_BACKUP_H
#define SERVER_STORE_SQLITE_BACKUP_H

#include <stdbool.h>

#include "base/error.h"

/* Copies the database `location` as of now into the new file `target`, durably. */
bool sqlite_backup(const char *location, const char *target, struct error *err);

#endif
