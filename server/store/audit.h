/*
 * Who did what: a table that only grows. Each entry's hash covers the entry and the hash before
 * it, so that one changed, taken out or put in between shows, as long as the newest hash is known
 * (audit_verify() prints it; keep it elsewhere now and then).
 *
 * A control store carries one `struct control_audit_kind`; the rules of control.h hold.
 */
#ifndef SERVER_STORE_AUDIT_H
#define SERVER_STORE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct control_store;

enum {
    AUDIT_WHO_BYTES = 256,
    AUDIT_ACTION_BYTES = 48,
    AUDIT_SUBJECT_BYTES = 512,
    AUDIT_SOURCE_BYTES = 128,
    AUDIT_HASH_BYTES = 32,
};

struct audit_entry {
    int64_t id; /* 1, 2, 3 … without a gap; given when added */
    uint64_t at_ns;
    char who[AUDIT_WHO_BYTES];       /* an e-mail address, or "cli:USER"; "" when nobody is known */
    char role[16];                   /* "admin"; "" when there is none */
    char action[AUDIT_ACTION_BYTES]; /* "login", "message.read", "token.create" */
    char subject[AUDIT_SUBJECT_BYTES]; /* what it was done to; never a secret */
    char source[AUDIT_SOURCE_BYTES];   /* network address, or a host's name */
    uint8_t hash[AUDIT_HASH_BYTES];
};

struct audit_query {
    int64_t before_id;        /* only older ones; 0: from the newest */
    uint64_t from_ns, to_ns;  /* to_ns exclusive; 0: open */
    const char *who, *action; /* borrowed; NULL: any */
    uint32_t max;
};

/* Borrowed for the call. Return false to stop. */
typedef bool audit_visit(void *context, const struct audit_entry *entry);

struct control_audit_kind {
    /* Durable when it returns; fills id and hash. */
    bool (*add)(struct control_store *store, struct audit_entry *entry, struct error *err);
    /* Newest first. */
    bool (*list)(struct control_store *store, const struct audit_query *query, audit_visit *visit,
                 void *context, struct error *err);
    /* All, oldest first. */
    bool (*replay)(struct control_store *store, audit_visit *visit, void *context,
                   struct error *err);
};

/* One thing done: texts are copied and cut to fit, bytes that are no UTF-8 shown as '?'. */
struct audit_note {
    const char *who, *role, *action, *source; /* NULL: "" */
    struct bytes subject;
};
MUST_USE bool audit_add(struct control_store *store, const struct audit_note *note, uint64_t now_ns,
                        struct error *err);

/* The hash of an entry that follows one with `before` (zeros before the first). */
void audit_hash(const uint8_t before[AUDIT_HASH_BYTES], const struct audit_entry *entry,
                uint8_t out[AUDIT_HASH_BYTES]);

/* Checks every entry. FAIL_CORRUPT names the first that does not fit. *last is the newest (id 0:
 * none). */
MUST_USE bool audit_verify(struct control_store *store, struct audit_entry *last,
                           struct error *err);

#endif
