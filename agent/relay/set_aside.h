/*
 * Records that one destination keeps failing on (5xx) while it takes others:
 * they leave the queue, so that nothing waits behind them, and wait here, one
 * file each under SPOOL/aside/DESTINATION/, to be tried again now and then.
 *
 * Bounded in bytes. Used from the forwarder's thread.
 */
#ifndef AGENT_RELAY_SET_ASIDE_H
#define AGENT_RELAY_SET_ASIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"
#include "platform/fs.h"

struct set_aside;

struct set_aside_record {
    uint64_t sequence, covers_from; /* its batch ids */
    uint64_t received_ns;
    enum otlp_signal signal;
    uint32_t item_count;
    bool is_piece;
    struct bytes user;    /* as the spool keeps it */
    struct bytes payload; /* as it is to be sent */
};

/* Finds what an earlier run left. NULL on failure. Borrows fs; `now_ms` is monotonic. */
struct set_aside *set_aside_create(const struct fs *fs, const char *spool_dir,
                                   const char *destination, uint64_t max_bytes, uint64_t now_ms,
                                   struct error *err);
void set_aside_destroy(struct set_aside *s); /* files stay; NULL is fine */

size_t set_aside_count(const struct set_aside *s);
uint64_t set_aside_items(const struct set_aside *s); /* log records, spans, data points in them */

/* Durable when true. FAIL_NO_SPACE over the limit. First tried again at `due_ms`. */
MUST_USE bool set_aside_add(struct set_aside *s, const struct set_aside_record *record,
                            uint64_t due_ms, struct error *err);

/* The id of one that is due, 0 when none; *next_ms is when the next will be (UINT64_MAX: never). */
uint64_t set_aside_due(const struct set_aside *s, uint64_t now_ms, uint64_t *next_ms);

/* Reads one; its bytes are in `hold`. FAIL_CORRUPT when the file is damaged. */
MUST_USE bool set_aside_read(const struct set_aside *s, uint64_t id, struct buffer *hold,
                             struct set_aside_record *out, struct error *err);

/* Not yet: try again at `due_ms`. */
void set_aside_postpone(struct set_aside *s, uint64_t id, uint64_t due_ms);

/* How often it was postponed since the start. */
unsigned set_aside_tries(const struct set_aside *s, uint64_t id);

/* Delivered or accounted for: the file goes. */
void set_aside_remove(struct set_aside *s, uint64_t id);

#endif
