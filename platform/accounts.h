/*
 * Accounts as the system's directory services know them: local files, but also
 * SSSD, LDAP, winbind or OpenDirectory, whose people stand in no file.
 */
#ifndef PLATFORM_ACCOUNTS_H
#define PLATFORM_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct platform_account {
    char name[256];
    uint32_t uid, gid;
    char gecos[512]; /* full name, and what else a directory puts there */
    char home[1024];
    char shell[256];
};

/* The account of that number; FAIL_NOT_FOUND when nobody has it. Blocks while a directory answers.
 * Windows: nobody has one; its people are in the registry. */
MUST_USE bool platform_account_of_uid(uint32_t uid, struct platform_account *out,
                                      struct error *err);

#endif
