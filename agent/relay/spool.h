/*
 * A crash-safe queue of telemetry requests on disk, oldest first, shared by
 * all destinations: one append-only log of segments, one position each.
 *
 *   receive ──append, commit──▶ spool ──read──▶ forward (a cursor per destination)
 *
 * A record is one request (protobuf, identity stamped) with a sequence number
 * that only grows. docs/spool-format.md describes the files.
 *
 * Threads: append and commit belong to one thread, everything else to any
 * other; a mutex guards what they share. Readers see committed records only.
 */
#ifndef AGENT_RELAY_SPOOL_H
#define AGENT_RELAY_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "core/otlp/signal.h"
#include "platform/fs.h"

struct spool;

struct spool_options {
    const char *dir;              /* created when missing; copied */
    uint64_t max_bytes;           /* of segment and quarantine files */
    uint64_t max_age_ns;          /* older records are evicted; 0: never */
    uint64_t min_free_disk_bytes; /* grows no further below it, two segments excepted; evicts when
                                     that lasts 2 minutes. At most a tenth of the volume counts */
    uint64_t segment_bytes;       /* 0: the default, 4 MiB */
};

enum { SPOOL_USER_BYTES = 384 };

/* What is stored beside a payload. */
struct spool_record {
    uint64_t sequence;    /* from 1; given by append */
    uint64_t received_ns; /* wall clock */
    enum otlp_signal signal;
    uint32_t item_count;  /* log records, spans, data points in the payload */
    struct bytes user;    /* "local_user\0email", either part may be empty */
    struct bytes payload; /* Export…ServiceRequest, protobuf */
};

/*
 * Opens the spool and recovers what a crash left: cuts a torn tail, sets
 * corrupt records aside in quarantine, keeps what stands before and after.
 * NULL on failure; FAIL_BUSY when another process has it. Borrows fs and clock.
 */
struct spool *spool_create(const struct spool_options *options, const struct fs *fs,
                           const struct clock *clock, struct error *err);

/*
 * Saves positions, frees memory and the lock; what is committed stays on disk.
 * Cursors still open go with it. NULL is fine.
 */
void spool_destroy(struct spool *spool);

/* The UUID made when the spool was; names the stream to our server. Borrowed. */
const char *spool_stream_id(const struct spool *spool);

/*
 * Writes one record after the others, not yet durable, and sets its sequence.
 * FAIL_NO_SPACE when the disk gives no room: this record is not kept, those before it are;
 * once that has lasted for 2 minutes, the oldest records make room instead.
 */
MUST_USE bool spool_append(struct spool *spool, struct spool_record *record, struct error *err);

/*
 * Makes everything appended so far durable and visible to readers: one
 * fdatasync however many. After a failure none of it is acknowledged or read.
 */
MUST_USE bool spool_commit(struct spool *spool, struct error *err);

/*
 * Makes the next segment's file when the one being written is half full, so
 * that an append need not: a few milliseconds of writing zeros. Does nothing
 * otherwise. Any thread but the committer's.
 */
MUST_USE bool spool_prepare(struct spool *spool, struct error *err);

/* The newest committed sequence; 0 when none ever. */
uint64_t spool_last_sequence(const struct spool *spool);

/* Called (any thread may be the committer's) after a commit that made records visible. */
void spool_on_commit(struct spool *spool, void (*wake)(void *context), void *context);

/*
 * Reading. A cursor is a place in the log, held by one destination and saved
 * under its name, so that it survives a restart.
 */
struct spool_cursor;

/* Opens the cursor saved under `name`, or makes one that starts at the oldest record kept. */
struct spool_cursor *spool_cursor_open(struct spool *spool, const char *name, struct error *err);
void spool_cursor_close(struct spool_cursor *cursor); /* the saved position stays */

/*
 * Says which signals (bit 1 << signal; all, unless said) this destination
 * wants, so that the ledger counts only those as lost to it. Reading still
 * gives every record.
 */
void spool_cursor_signals(struct spool_cursor *cursor, unsigned signals);

/*
 * Reads the next committed record behind the read place and moves it. The
 * record's bytes are in `hold` until its next use; FAIL_TOO_LARGE, and the
 * place stays, when its ceiling is below the record's payload and user. False with err->kind
 * FAIL_NONE when there is nothing more; corrupt records are skipped, quarantined and counted.
 */
MUST_USE bool spool_cursor_read(struct spool_cursor *cursor, struct buffer *hold,
                                struct spool_record *out, struct error *err);

/* Puts the read place back to just behind `sequence` (not before the saved position). */
void spool_cursor_seek(struct spool_cursor *cursor, uint64_t sequence);

/*
 * Says that every record up to `sequence` is done with for this destination.
 * Survives the process at once and power loss soon after (positions are synced at most once per
 * interval): what is lost then is read again. Segments behind every cursor are reused or removed.
 */
MUST_USE bool spool_cursor_done(struct spool_cursor *cursor, uint64_t sequence, struct error *err);
uint64_t spool_cursor_position(const struct spool_cursor *cursor);

/*
 * Writes positions that are not yet durable, and gives back what everyone is
 * done with. Call on idle and before stopping.
 */
MUST_USE bool spool_save_positions(struct spool *spool, struct error *err);

/* Forgets the saved position of a destination that is no longer configured. */
MUST_USE bool spool_cursor_forget(struct spool *spool, const char *name, struct error *err);

/*
 * Dead letters: a record one destination will never take is kept under
 * quarantine/, listed by `spool list`, evicted before live data.
 */
MUST_USE bool spool_quarantine(struct spool *spool, const char *destination,
                               const struct spool_record *record, const char *reason,
                               struct error *err);

/* The loss ledger: every record that was accepted and will not be delivered. Durable. */
enum spool_loss {
    SPOOL_LOSS_EVICTED_SIZE, /* the spool's size limit */
    SPOOL_LOSS_EVICTED_AGE,
    SPOOL_LOSS_EVICTED_DISK, /* the volume's free-space limit */
    SPOOL_LOSS_CORRUPT,      /* failed its checksum */
    SPOOL_LOSS_REJECTED,     /* partial success: the destination dropped them */
    SPOOL_LOSS_QUARANTINED,  /* kept on disk, not delivered */
    SPOOL_LOSS_COUNT,
};
const char *spool_loss_name(enum spool_loss reason); /* "evicted_size", ... */

struct spool_ledger_entry {
    enum spool_loss reason;
    char destination[64]; /* "" when it concerns all */
    enum otlp_signal signal;
    uint64_t records;        /* log records, spans, data points */
    uint64_t from_ns, to_ns; /* received_ns of the oldest and newest */
};
MUST_USE bool spool_ledger_add(struct spool *spool, const struct spool_ledger_entry *entry,
                               struct error *err);
/* Copies up to `max` entries, newest first; returns how many. Entries of one day, reason,
 * destination and signal are summed into one. */
size_t spool_ledger(struct spool *spool, struct spool_ledger_entry *out, size_t max);

struct spool_state {
    /* Committed and not yet done by every cursor: records of this queue, which are requests, the
     * log records, spans and data points in them, and their bytes. */
    uint64_t requests, items, bytes;
    uint64_t oldest_ns;                    /* received_ns of the oldest such; 0 when none */
    uint64_t evicted_total;                /* items, all reasons */
    uint64_t quarantined_total;            /* items */
    uint64_t lost_total[SPOOL_LOSS_COUNT]; /* items, by reason, since the spool was made */
    uint64_t quarantine_files, quarantine_bytes;
    uint64_t disk_free_bytes;
    uint64_t commits_total, appended_total;     /* since start */
    uint64_t received_total[OTLP_SIGNAL_COUNT]; /* items since the spool was made */
};
void spool_state(struct spool *spool, struct spool_state *out);

/* Records behind this cursor's position. */
uint64_t spool_cursor_backlog(const struct spool_cursor *cursor);

/* The items in them, of the signals this cursor wants. May read from the disk; where that fails,
 * one item a record is assumed. */
uint64_t spool_cursor_backlog_items(struct spool_cursor *cursor);

/* Housekeeping: age and disk limits, saved positions. Call about every 10 s while not idle. */
MUST_USE bool spool_maintain(struct spool *spool, struct error *err);

#endif
