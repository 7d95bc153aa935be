#include "agent/relay/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/lines.h"
#include "base/memory.h"

/* More entries than this are folded, older days into newer ones of the same kind. */
enum { ENTRIES_MAX = 1024, DAMAGE_MAX = 4096, FILE_MAX_BYTES = 1024 * 1024 };
#define NS_PER_DAY (UINT64_C(86400) * NS_PER_S)

static const char *const loss_names[SPOOL_LOSS_COUNT] = {
    [SPOOL_LOSS_EVICTED_SIZE] = "evicted_size", [SPOOL_LOSS_EVICTED_AGE] = "evicted_age",
    [SPOOL_LOSS_EVICTED_DISK] = "evicted_disk", [SPOOL_LOSS_CORRUPT] = "corrupt",
    [SPOOL_LOSS_REJECTED] = "rejected",         [SPOOL_LOSS_QUARANTINED] = "quarantined",
};

const char *spool_loss_name(enum spool_loss reason)
{
    return (unsigned)reason < SPOOL_LOSS_COUNT ? loss_names[reason] : "unknown";
}

static bool same_kind(const struct spool_ledger_entry *a, const struct spool_ledger_entry *b)
{
    return a->reason == b->reason && a->signal == b->signal &&
           strcmp(a->destination, b->destination) == 0;
}

static void fold(struct spool_ledger_entry *into, const struct spool_ledger_entry *from)
{
    into->records += from->records;
    if (from->from_ns < into->from_ns)
        into->from_ns = from->from_ns;
    if (from->to_ns > into->to_ns)
        into->to_ns = from->to_ns;
}

/* Reasons, signals and destinations are few, so a full ledger always has two of a kind. */
static void make_room(struct ledger *l)
{
    for (size_t i = 0; i < l->count; i++)
        for (size_t k = i + 1; k < l->count; k++)
            if (same_kind(&l->entries[i], &l->entries[k])) {
                fold(&l->entries[k], &l->entries[i]);
                memmove(&l->entries[i], &l->entries[i + 1],
                        (l->count - i - 1) * sizeof *l->entries);
                l->count--;
                return;
            }
}

void ledger_add(struct ledger *l, const struct spool_ledger_entry *entry)
{
    if (entry->records == 0)
        return;
    l->dirty = true;
    for (size_t i = 0; i < l->count; i++)
        if (same_kind(&l->entries[i], entry) &&
            l->entries[i].to_ns / NS_PER_DAY == entry->to_ns / NS_PER_DAY) {
            fold(&l->entries[i], entry);
            return;
        }
    if (l->count >= ENTRIES_MAX)
        make_room(l);
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 8;
        l->entries = xrealloc(l->entries, l->capacity * sizeof *l->entries);
    }
    l->entries[l->count++] = *entry;
}

bool ledger_add_damage(struct ledger *l, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < l->damage_count; i++)
        if (l->damage[i].from <= from && to <= l->damage[i].to)
            return false;
    if (l->damage_count == DAMAGE_MAX) {
        memmove(l->damage, l->damage + 1, (DAMAGE_MAX - 1) * sizeof *l->damage);
        l->damage_count--;
    }
    if (l->damage_count == l->damage_capacity) {
        l->damage_capacity = l->damage_capacity ? l->damage_capacity * 2 : 8;
        l->damage = xrealloc(l->damage, l->damage_capacity * sizeof *l->damage);
    }
    l->damage[l->damage_count++] = (struct ledger_range){from, to};
    l->dirty = true;
    return true;
}

void ledger_forget_damage(struct ledger *l, uint64_t up_to)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->damage_count; i++)
        if (l->damage[i].to > up_to)
            l->damage[kept++] = l->damage[i];
    l->damage_count = kept;
}

uint64_t ledger_items(const struct ledger *l, unsigned reasons)
{
    uint64_t items = 0;
    for (size_t i = 0; i < l->count; i++)
        if (reasons & 1U << l->entries[i].reason)
            items += l->entries[i].records;
    return items;
}

static void read_line(struct ledger *l, const char *line)
{
    struct spool_ledger_entry entry = {0};
    unsigned reason, signal;
    uint64_t from, to;
    int name_at = 0;
    if (sscanf(line, "floor %" SCNu64, &from) == 1) {
        l->floor = from;
    } else if (sscanf(line, "damage %" SCNu64 " %" SCNu64, &from, &to) == 2) {
        (void)ledger_add_damage(l, from, to);
    } else if (sscanf(line, "loss %u %u %" SCNu64 " %" SCNu64 " %" SCNu64 " %n", &reason, &signal,
                      &entry.records, &entry.from_ns, &entry.to_ns, &name_at) == 5 &&
               name_at > 0 && reason < SPOOL_LOSS_COUNT && signal < OTLP_SIGNAL_COUNT) {
        entry.reason = (enum spool_loss)reason;
        entry.signal = (enum otlp_signal)signal;
        snprintf(entry.destination, sizeof entry.destination, "%s", line + name_at);
        ledger_add(l, &entry);
    }
}

bool ledger_load(struct ledger *l, const struct fs *fs, const char *path, struct error *err)
{
    struct buffer text = {.max_bytes = FILE_MAX_BYTES};
    if (!fs_read_file(fs, path, &text, err)) {
        buffer_clear(&text);
        return err->kind == FAIL_NOT_FOUND;
    }
    struct bytes rest = buffer_bytes(&text);
    char line[LINES_MAX_BYTES];
    size_t damaged = 0;
    while (lines_next(&rest, line, &damaged))
        read_line(l, line);
    l->dirty = false;
    buffer_clear(&text);
    return true;
}

bool ledger_save(struct ledger *l, const struct fs *fs, const char *path, struct error *err)
{
    struct buffer text = {.max_bytes = FILE_MAX_BYTES};
    bool fits = lines_append(&text, "ledger 1") && lines_append(&text, "floor %" PRIu64, l->floor);
    for (size_t i = 0; fits && i < l->count; i++) {
        const struct spool_ledger_entry *e = &l->entries[i];
        fits = lines_append(&text, "loss %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %s",
                            (unsigned)e->reason, (unsigned)e->signal, e->records, e->from_ns,
                            e->to_ns, e->destination);
    }
    for (size_t i = 0; fits && i < l->damage_count; i++)
        fits =
            lines_append(&text, "damage %" PRIu64 " %" PRIu64, l->damage[i].from, l->damage[i].to);
    bool ok = fits ? fs_replace_file(fs, path, buffer_bytes(&text), 0600, err)
                   : error_set(err, FAIL_TOO_LARGE, "the loss ledger '%s' outgrew its file", path);
    if (ok)
        l->dirty = false;
    buffer_clear(&text);
    return ok;
}

void ledger_clear(struct ledger *l)
{
    free(l->entries);
    free(l->damage);
    *l = (struct ledger){0};
}
