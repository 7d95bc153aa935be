/*
 * The loss ledger: what was accepted and will not be delivered, summed per
 * day, reason, destination and signal. One small file of sealed lines,
 * replaced whole. It also holds `floor`, so that an eviction and its entry
 * become durable together, and the damage already reported, so that none is
 * reported twice. Not locked: the spool does that.
 */
#ifndef AGENT_RELAY_LEDGER_H
#define AGENT_RELAY_LEDGER_H

#include "agent/relay/spool.h"

struct ledger_range {
    uint64_t from, to; /* sequences */
};

struct ledger {
    struct spool_ledger_entry *entries; /* oldest first */
    size_t count, capacity;
    struct ledger_range *damage;
    size_t damage_count, damage_capacity;
    uint64_t floor; /* records up to here were evicted */
    bool dirty;
};

/* A missing file is an empty ledger; damaged lines are dropped. */
MUST_USE bool ledger_load(struct ledger *ledger, const struct fs *fs, const char *path,
                          struct error *err);
MUST_USE bool ledger_save(struct ledger *ledger, const struct fs *fs, const char *path,
                          struct error *err);
void ledger_clear(struct ledger *ledger);

void ledger_add(struct ledger *ledger, const struct spool_ledger_entry *entry);

/* False when this range was reported before. */
bool ledger_add_damage(struct ledger *ledger, uint64_t from, uint64_t to);
void ledger_forget_damage(struct ledger *ledger, uint64_t up_to);

/* Items over all entries of these reasons (bit per reason). */
uint64_t ledger_items(const struct ledger *ledger, unsigned reasons);

#endif
