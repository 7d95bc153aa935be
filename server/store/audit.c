#include "server/store/audit.h"

#include <stdio.h>
#include <string.h>

#include "core/crypto/crypto.h"
#include "core/json/utf8.h"
#include "server/store/control.h"

/* Lengths stand in front of the texts, so that none can be moved from one field into the next. */
static void add_text(struct buffer *out, const char *text)
{
    size_t len = strlen(text);
    const uint8_t size[2] = {(uint8_t)(len >> 8), (uint8_t)len};
    bool fits = buffer_append(out, bytes_make(size, sizeof size)) &&
                buffer_append(out, bytes_make(text, len));
    (void)fits; /* the ceiling is that of a whole entry */
}

static void add_number(struct buffer *out, uint64_t number)
{
    uint8_t raw[8];
    for (int i = 0; i < 8; i++)
        raw[i] = (uint8_t)(number >> (56 - 8 * i));
    bool fits = buffer_append(out, bytes_make(raw, sizeof raw));
    (void)fits;
}

void audit_hash(const uint8_t before[AUDIT_HASH_BYTES], const struct audit_entry *entry,
                uint8_t out[AUDIT_HASH_BYTES])
{
    struct buffer text = {.max_bytes = 4 * KIB};
    bool fits = buffer_append(&text, bytes_make(before, AUDIT_HASH_BYTES));
    (void)fits;
    add_number(&text, (uint64_t)entry->id);
    add_number(&text, entry->at_ns);
    add_text(&text, entry->who);
    add_text(&text, entry->role);
    add_text(&text, entry->action);
    add_text(&text, entry->subject);
    add_text(&text, entry->source);
    crypto_sha256(buffer_bytes(&text), out);
    buffer_clear(&text);
}

/* What follows `at` as one UTF-8 character's length, 0 when it is none that may be shown. */
static size_t character(struct bytes text, size_t at)
{
    bool valid;
    uint8_t c = text.data[at];
    size_t len = utf8_step(bytes_make(text.data + at, text.len - at), &valid);
    return valid && c >= ' ' && c != 0x7f ? len : 0;
}

static void copy(char *out, size_t size, struct bytes text)
{
    size_t used = 0;
    for (size_t at = 0; at < text.len;) {
        size_t len = character(text, at);
        if (used + (len ? len : 1) >= size)
            break;
        if (len > 0)
            memcpy(out + used, text.data + at, len);
        else
            out[used] = '?';
        used += len ? len : 1;
        at += len ? len : 1;
    }
    out[used] = '\0';
}

static struct bytes text_or_none(const char *text)
{
    return bytes_of(text ? text : "");
}

bool audit_add(struct control_store *store, const struct audit_note *note, uint64_t now_ns,
               struct error *err)
{
    struct audit_entry entry = {.at_ns = now_ns};
    copy(entry.who, sizeof entry.who, text_or_none(note->who));
    copy(entry.role, sizeof entry.role, text_or_none(note->role));
    copy(entry.action, sizeof entry.action, text_or_none(note->action));
    copy(entry.source, sizeof entry.source, text_or_none(note->source));
    copy(entry.subject, sizeof entry.subject, note->subject);
    return store->kind->audit->add(store, &entry, err) ||
           error_wrap(err, "cannot write the audit log");
}

/* ---- Checking the chain ---- */

struct check {
    struct audit_entry last;
    bool broken;
    int64_t broken_id;
};

static bool check_entry(void *context, const struct audit_entry *entry)
{
    struct check *c = context;
    uint8_t hash[AUDIT_HASH_BYTES];
    audit_hash(c->last.hash, entry, hash);
    c->broken = entry->id != c->last.id + 1 || memcmp(hash, entry->hash, sizeof hash) != 0;
    c->broken_id = c->last.id + 1;
    c->last = *entry;
    return !c->broken;
}

bool audit_verify(struct control_store *store, struct audit_entry *last, struct error *err)
{
    struct check c = {.broken = false};
    if (!store->kind->audit->replay(store, check_entry, &c, err))
        return false;
    *last = c.last;
    if (!c.broken)
        return true;
    error_set(err, FAIL_CORRUPT, "the audit log was changed: entry %lld is not what was written",
              (long long)c.broken_id);
    return error_remedy(err, "compare with a backup of control.db");
}
