/*
 * What the spool's files share; nothing outside spool*.c includes it.
 *
 * Two locks. `files` is held by whoever changes which files exist (a new
 * segment, eviction, quarantine, ledger, positions) and may be held across
 * syncs. `mutex` guards the fields below it and is never held across one.
 * Order: files, then mutex. The append thread takes `files` only to change
 * segments, so commits do not wait for housekeeping.
 */
#ifndef AGENT_RELAY_SPOOL_PRIVATE_H
#define AGENT_RELAY_SPOOL_PRIVATE_H

#include <pthread.h>

#include "agent/relay/ledger.h"
#include "agent/relay/segment.h"

enum {
    SPOOL_NAME_BYTES = 64,
    SPOOL_OUT_BYTES = 256 * 1024, /* records gathered for one write */
    SPOOL_SPARES = 1,             /* delivered segments kept for reuse */
    SPOOL_WORKING_SEGMENTS = 2,   /* used however little room min_free_disk leaves */
};

/* How long a volume may be short of room before records are evicted for it. */
#define SPOOL_PATIENCE_NS (120 * NS_PER_S)

/* What the spool remembers of a segment file. */
struct segment {
    uint64_t first_sequence;
    uint64_t last_sequence; /* first_sequence - 1 while it holds none */
    uint64_t end;           /* bytes used */
    uint64_t size_bytes;    /* of the file */
    uint64_t created_ns;
    uint64_t newest_ns; /* no record in it is younger */
    uint64_t records_before;
    uint64_t items_before[OTLP_SIGNAL_COUNT];
    uint64_t items[OTLP_SIGNAL_COUNT];
    uint32_t salt;
    bool items_known;
    bool sealed;
};

struct totals {
    uint64_t records;
    uint64_t items[OTLP_SIGNAL_COUNT];
};

/* What the header of the first record behind a position tells. */
struct spool_front {
    uint64_t behind;      /* the position this was read for; meaningless while not `known` */
    uint64_t received_ns; /* when that record came */
    uint64_t items[OTLP_SIGNAL_COUNT]; /* of all records before it, since the spool was made */
    bool known;
};

struct spool_cursor {
    struct spool *spool;
    struct spool_cursor *next;
    char name[SPOOL_NAME_BYTES];

    /* Under mutex. */
    bool open;
    bool dirty;     /* done is newer than what is durable */
    bool rewound;   /* seek went back: start the walk again */
    uint64_t done;  /* everything up to here is finished */
    uint64_t read;  /* the last one handed out or skipped */
    uint64_t holds; /* first sequence of the segment its file handle is on; 0: none */
    bool reading;   /* in it right now: else others may close it */
    struct fs_file *file;
    unsigned signals; /* bit per signal this destination wants */

    /* Under files. */
    struct fs_file *places; /* its position file, once this process has written it whole */
    bool odd_place;         /* which of the two places is written next */
    uint64_t placed;        /* done, as the file has it */
    struct spool_front front;

    /* The reader's own. */
    struct segment_walk walk;
    uint64_t mark_sequence; /* a place to go back to without walking the whole segment */
    struct segment_walk mark;
};

struct spool {
    const struct fs *fs;
    const struct clock *clock;
    char *dir, *positions_dir, *quarantine_dir;
    uint64_t max_bytes, max_age_ns, segment_bytes;
    uint64_t min_free_bytes; /* at most a tenth of the volume */
    char stream[SEGMENT_STREAM_BYTES + 1];
    struct fs_file *lock;
    bool ready; /* recovered: what is in memory may be written */
    uint64_t opened_wall_ns, opened_monotonic_ns;

    /* The append thread's own. */
    struct fs_file *active; /* the last segment, when it can take more */
    struct segment shape;   /* of that segment, as it was made */
    struct buffer out;      /* bytes of it not yet written */
    uint64_t out_offset;
    uint64_t group_offset; /* where the first record since the last commit goes */
    uint64_t appended;     /* the newest sequence used up */
    uint64_t newest;       /* the newest record written or in `out` */
    uint64_t appended_ns;
    struct totals written; /* with the uncommitted */
    uint64_t reserved;     /* sequences up to here may have been used: durable */
    bool group_failed;     /* since the last commit */
    struct error group_error;

    pthread_mutex_t files;
    struct ledger ledger;
    unsigned spares;
    uint64_t low_since_ns;      /* monotonic: the volume is below min_free_bytes; 0: it is not */
    uint64_t refusing_since_ns; /* monotonic: no room for a segment; 0: there was, the last time */
    uint64_t refused_ns;        /* the last time there was none */
    bool replaces;              /* that has lasted: the newest records replace the oldest */
    uint64_t marked;            /* `committed` in the stream file */
    uint64_t oldest_first;      /* there too: the oldest segment, should its header be lost */
    struct totals oldest_base;  /* what came before it */
    struct spool_front front;   /* behind what every cursor is done with */

    pthread_mutex_t mutex;
    struct segment *segments; /* oldest first */
    size_t segment_count, segment_capacity;
    struct spool_cursor *cursors;
    uint64_t committed;
    uint64_t committed_end; /* in the segment that holds `committed` */
    uint64_t saved_ns;      /* monotonic: positions were written */
    struct totals totals;   /* committed, since the spool was made */
    uint64_t quarantine_files, quarantine_bytes;
    uint64_t commits, appends;
    void (*wake)(void *context);
    void *wake_context;
};

/* spool.c */
char *spool_path(const struct spool *s, const char *name);
uint64_t spool_age_now_ns(const struct spool *s); /* wall time that a clock jump cannot age */

/* spool_stream.c: identity and numbering. Callers hold `files` or are alone. */
MUST_USE bool stream_load(struct spool *s, bool *found, struct totals *totals, struct error *err);
MUST_USE bool stream_save(struct spool *s, uint64_t reserved, struct error *err);

/* spool_recover.c */
MUST_USE bool recover(struct spool *s, struct error *err);

/* spool_segments.c. Callers hold `files`. */
struct segment *segments_push(struct spool *s); /* under mutex */
MUST_USE bool segments_roll(struct spool *s, uint64_t record_bytes, struct error *err);
void segments_abandon(struct spool *s); /* after a failed write: what is uncommitted is void */
bool segments_retire(struct spool *s, struct error *err); /* gives delivered space back */
uint64_t segments_bytes(struct spool *s);                 /* of all files, quarantine included */
bool segments_give_back(struct spool *s);                 /* what is worth nothing */
bool segments_give_up(struct spool *s, enum spool_loss reason); /* what is worth least */
bool segments_evict(struct spool *s, enum spool_loss reason, uint64_t older_than_ns,
                    struct error *err);
void segments_report_damage(struct spool *s, struct fs_file *file,
                            const struct segment_step *damage, uint64_t near_ns);

/* spool_positions.c */
bool positions_load(struct spool *s, struct error *err);
bool positions_save(struct spool *s, struct error *err);         /* takes both locks */
bool positions_place(struct spool_cursor *c, struct error *err); /* not yet durable; takes both */
void positions_let_go(struct spool_cursor *c);                   /* of the file */
uint64_t positions_lowest(const struct spool *s); /* under mutex; UINT64_MAX: no cursor */

/* spool_quarantine.c. Callers hold `files`. */
bool quarantine_measure(struct spool *s, struct error *err);
bool quarantine_evict(struct spool *s); /* the oldest; false when there is none */
bool quarantine_keep_bytes(struct spool *s, struct fs_file *file, const struct segment_step *damage,
                           struct error *err);

#endif
