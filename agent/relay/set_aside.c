#include "agent/relay/set_aside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"

enum { FIRST_TRY_AFTER_RESTART_MS = 60 * 1000 };

/* The file: magic, SHA-256 of the rest, then this head, the user, the payload. Host byte order:
 * the file never leaves the machine, and another order fails the checks and is kept. */
static const char magic[8] = {'C', 'T', 'A', 'S', 'I', 'D', 'E', '1'};

struct file_head {
    uint64_t sequence, covers_from, received_ns;
    uint32_t signal, item_count, is_piece, user_len;
};

struct entry {
    uint64_t id;
    uint64_t bytes;
    uint64_t due_ms;
    uint32_t items;
    unsigned tries;
};

struct set_aside {
    const struct fs *fs; /* borrowed */
    char *dir;
    uint64_t max_bytes;
    uint64_t held_bytes;
    uint64_t last_id;
    uint64_t start_ms;
    struct entry *entries;
    size_t count, capacity;
};

static char *path_of(const struct set_aside *s, uint64_t id)
{
    return xasprintf("%s/%020" PRIu64 ".req", s->dir, id);
}

static void remember(struct set_aside *s, struct entry entry)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 8;
        s->entries = xrealloc(s->entries, s->capacity * sizeof *s->entries);
    }
    s->entries[s->count++] = entry;
    s->held_bytes += entry.bytes;
    if (entry.id > s->last_id)
        s->last_id = entry.id;
}

/* What its head says, unchecked: only for counting. One item at least. */
static uint32_t items_of_file(const struct set_aside *s, const char *path, uint64_t bytes)
{
    struct file_head head = {0};
    struct error ignored;
    uint64_t at = sizeof magic + SHA256_BYTES;
    struct fs_file *file =
        bytes >= at + sizeof head ? s->fs->open(s->fs->disk, path, FS_READ, 0, &ignored) : NULL;
    size_t got = 0;
    bool ok = file && s->fs->read_at(s->fs->disk, file, at, &head, sizeof head, &got, &ignored) &&
              got == sizeof head;
    s->fs->close(s->fs->disk, file);
    return ok && head.item_count > 0 ? head.item_count : 1;
}

static bool find_file(void *context, const char *name)
{
    struct set_aside *s = context;
    uint64_t id = 0;
    int end = 0;
    if (sscanf(name, "%20" SCNu64 ".req%n", &id, &end) != 1 || end == 0 || name[end] != '\0')
        return true; /* an interrupted write, or not ours */
    char *path = path_of(s, id);
    struct fs_stat stat = {0};
    struct error ignored;
    if (s->fs->stat(s->fs->disk, path, &stat, &ignored))
        remember(s, (struct entry){.id = id,
                                   .bytes = stat.size_bytes,
                                   .items = items_of_file(s, path, stat.size_bytes),
                                   .due_ms = s->start_ms + FIRST_TRY_AFTER_RESTART_MS});
    free(path);
    return true;
}

struct set_aside *set_aside_create(const struct fs *fs, const char *spool_dir,
                                   const char *destination, uint64_t max_bytes, uint64_t now_ms,
                                   struct error *err)
{
    struct set_aside *s = xcalloc(1, sizeof *s);
    s->fs = fs;
    s->max_bytes = max_bytes;
    s->start_ms = now_ms;
    s->dir = xasprintf("%s/aside/%s", spool_dir, destination);

    struct fs_stat stat = {0};
    if (!fs->stat(fs->disk, s->dir, &stat, err)) {
        if (err->kind == FAIL_NOT_FOUND)
            return s; /* made with the first record */
        goto failed;
    }
    if (!fs->list(fs->disk, s->dir, find_file, s, err))
        goto failed;
    return s;

failed:
    error_wrap(err, "cannot look for records set aside");
    set_aside_destroy(s);
    return NULL;
}

void set_aside_destroy(struct set_aside *s)
{
    if (!s)
        return;
    free(s->entries);
    free(s->dir);
    free(s);
}

size_t set_aside_count(const struct set_aside *s)
{
    return s->count;
}

uint64_t set_aside_items(const struct set_aside *s)
{
    uint64_t items = 0;
    for (size_t i = 0; i < s->count; i++)
        items += s->entries[i].items;
    return items;
}

bool set_aside_add(struct set_aside *s, const struct set_aside_record *record, uint64_t due_ms,
                   struct error *err)
{
    struct file_head head = {
        .sequence = record->sequence,
        .covers_from = record->covers_from,
        .received_ns = record->received_ns,
        .signal = (uint32_t)record->signal,
        .item_count = record->item_count,
        .is_piece = record->is_piece,
        .user_len = (uint32_t)record->user.len,
    };
    size_t size =
        sizeof magic + SHA256_BYTES + sizeof head + record->user.len + record->payload.len;
    if (s->held_bytes + size > s->max_bytes)
        return error_set(err, FAIL_NO_SPACE, "%" PRIu64 " bytes are set aside already",
                         s->held_bytes);

    struct buffer file = {.max_bytes = size};
    uint8_t digest[SHA256_BYTES] = {0};
    bool ok = buffer_reserve(&file, size) &&
              buffer_append(&file, bytes_make(magic, sizeof magic)) &&
              buffer_append(&file, bytes_make(digest, sizeof digest)) &&
              buffer_append(&file, bytes_make(&head, sizeof head)) &&
              buffer_append(&file, record->user) && buffer_append(&file, record->payload);
    if (!ok) {
        buffer_clear(&file);
        return error_set(err, FAIL_TOO_LARGE, "a record of %zu bytes", size);
    }
    size_t covered = sizeof magic + SHA256_BYTES;
    crypto_sha256(bytes_make(file.data + covered, file.len - covered), digest);
    memcpy(file.data + sizeof magic, digest, sizeof digest);

    uint64_t id = s->last_id + 1;
    char *path = path_of(s, id);
    ok = fs_make_dirs(s->fs, s->dir, 0700, err) &&
         fs_replace_file(s->fs, path, buffer_bytes(&file), 0600, err);
    free(path);
    buffer_clear(&file);
    if (ok)
        remember(s, (struct entry){
                        .id = id, .bytes = size, .due_ms = due_ms, .items = record->item_count});
    return ok;
}

uint64_t set_aside_due(const struct set_aside *s, uint64_t now_ms, uint64_t *next_ms)
{
    *next_ms = UINT64_MAX;
    for (size_t i = 0; i < s->count; i++) {
        if (s->entries[i].due_ms <= now_ms)
            return s->entries[i].id;
        if (s->entries[i].due_ms < *next_ms)
            *next_ms = s->entries[i].due_ms;
    }
    return 0;
}

bool set_aside_read(const struct set_aside *s, uint64_t id, struct buffer *hold,
                    struct set_aside_record *out, struct error *err)
{
    char *path = path_of(s, id);
    bool ok = fs_read_file(s->fs, path, hold, err);
    free(path);
    if (!ok)
        return false;

    struct file_head head;
    size_t covered = sizeof magic + SHA256_BYTES;
    uint8_t digest[SHA256_BYTES];
    if (hold->len < covered + sizeof head || memcmp(hold->data, magic, sizeof magic) != 0)
        return error_set(err, FAIL_CORRUPT, "not a record set aside");
    crypto_sha256(bytes_make(hold->data + covered, hold->len - covered), digest);
    if (memcmp(digest, hold->data + sizeof magic, sizeof digest) != 0)
        return error_set(err, FAIL_CORRUPT, "a record set aside fails its checksum");
    memcpy(&head, hold->data + covered, sizeof head);
    const uint8_t *rest = hold->data + covered + sizeof head;
    size_t rest_len = hold->len - covered - sizeof head;
    if (head.user_len > rest_len || head.signal >= OTLP_SIGNAL_COUNT)
        return error_set(err, FAIL_CORRUPT, "a record set aside has a bad head");

    *out = (struct set_aside_record){
        .sequence = head.sequence,
        .covers_from = head.covers_from,
        .received_ns = head.received_ns,
        .signal = (enum otlp_signal)head.signal,
        .item_count = head.item_count,
        .is_piece = head.is_piece != 0,
        .user = bytes_make(rest, head.user_len),
        .payload = bytes_make(rest + head.user_len, rest_len - head.user_len),
    };
    return true;
}

static struct entry *find(const struct set_aside *s, uint64_t id)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].id == id)
            return &s->entries[i];
    return NULL;
}

void set_aside_postpone(struct set_aside *s, uint64_t id, uint64_t due_ms)
{
    struct entry *entry = find(s, id);
    if (!entry)
        return;
    entry->due_ms = due_ms;
    entry->tries++;
}

unsigned set_aside_tries(const struct set_aside *s, uint64_t id)
{
    const struct entry *entry = find(s, id);
    return entry ? entry->tries : 0;
}

void set_aside_remove(struct set_aside *s, uint64_t id)
{
    struct entry *entry = find(s, id);
    if (!entry)
        return;
    char *path = path_of(s, id);
    struct error ignored; /* a file that stays is sent once more after a restart */
    (void)s->fs->remove(s->fs->disk, path, &ignored);
    free(path);
    s->held_bytes -= entry->bytes;
    *entry = s->entries[--s->count];
}
