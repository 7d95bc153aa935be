/* A control store in memory that counts look-ups and fails on demand. Tokens, users and values. */
#ifndef TESTS_SUPPORT_MEMORY_CONTROL_H
#define TESTS_SUPPORT_MEMORY_CONTROL_H

#include "server/store/control.h"

enum { MEMORY_CONTROL_MAX = 32 };

struct memory_control {
    struct control_store store; /* first, so the pointers convert */
    bool failing;               /* every call fails with FAIL_IO */
    unsigned lookups;           /* of tokens */
    struct control_token tokens[MEMORY_CONTROL_MAX];
    size_t token_count;
    struct control_user users[MEMORY_CONTROL_MAX];
    size_t user_count;
    char value_names[MEMORY_CONTROL_MAX][32];
    struct buffer values[MEMORY_CONTROL_MAX];
    size_t value_count;
    unsigned audit_count;
    char audited[1024]; /* the last entry of the audit log */
};

void memory_control_init(struct memory_control *control);
void memory_control_clear(struct memory_control *control);

#endif
