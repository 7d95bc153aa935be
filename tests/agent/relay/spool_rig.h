/*
 * A spool on a disk that fails on demand, by a clock that stands still. Check's
 * fixtures take no argument, so its parts belong to the program.
 */
#ifndef TESTS_AGENT_RELAY_SPOOL_RIG_H
#define TESTS_AGENT_RELAY_SPOOL_RIG_H

#include "agent/relay/spool.h"
#include "tests/support/fault_fs.h"
#include "tests/support/manual_clock.h"

extern struct fault_fs *disk;
extern struct fs fs;
extern struct manual_clock now;
extern struct clock watch;
extern struct spool_options options; /* of open_spool(): 1 MiB in segments of 8 KiB */
extern struct spool *spool;          /* NULL until open_spool() */
extern struct buffer hold;

void rig_set_up(uint64_t seed);
void rig_tear_down(void);

void open_spool(void);
void close_spool(void);

/* The cursor of this name, made or found. */
struct spool_cursor *cursor(const char *name);

/* Items that the ledger has for this reason and destination. */
uint64_t lost(enum spool_loss reason, const char *destination);

#endif
