/*
 * One segment file of the spool: its bytes, and walking through them.
 * docs/spool-format.md draws them.
 *
 *   header | record | record | ... | zeros, or bytes of the file's former life
 *
 * The file's name repeats the two facts a record is checked against, the first
 * sequence and the salt, so a lost header page costs nothing. Every checksum
 * is seeded with the salt: bytes of another segment are never taken for records.
 */
#ifndef AGENT_RELAY_SEGMENT_H
#define AGENT_RELAY_SEGMENT_H

#include "agent/relay/spool.h"

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_HEADER_BYTES = 136,
    SEGMENT_RECORD_BYTES = 64,
    SEGMENT_NAME_BYTES = 40,
    SEGMENT_WINDOW_BYTES = 64 * 1024,
    SEGMENT_STREAM_BYTES = 36, /* the UUID's text */
};
#define SEGMENT_PAYLOAD_MAX ((size_t)64 * 1024 * 1024 + 64 * 1024)

struct segment_header {
    uint64_t first_sequence;
    uint32_t salt;
    char stream[SEGMENT_STREAM_BYTES + 1];
    uint64_t created_ns;
    uint64_t previous_last;  /* records before this segment end here; what is newer is void */
    uint64_t previous_first; /* names the segment before; 0: there was none */
    uint64_t previous_end;   /* bytes used in the segment before */
    uint64_t records_before; /* since the spool was made */
    uint64_t items_before[OTLP_SIGNAL_COUNT]; /* likewise */
};

/* A record as its header tells it. */
struct segment_record {
    uint64_t sequence;
    uint64_t received_ns;
    uint64_t durable; /* newest sequence that was durable when this was written */
    uint32_t payload_len;
    uint32_t body_crc; /* of user and payload */
    uint32_t item_count;
    uint16_t user_len;
    uint8_t signal;
    uint32_t items_before[OTLP_SIGNAL_COUNT]; /* in this segment */
};

static inline uint64_t segment_record_size(const struct segment_record *r)
{
    return SEGMENT_RECORD_BYTES + (uint64_t)r->user_len + r->payload_len;
}

void segment_name(uint64_t first_sequence, uint32_t salt, char out[SEGMENT_NAME_BYTES]);
bool segment_name_parse(const char *name, uint64_t *first_sequence, uint32_t *salt);

void segment_header_encode(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES]);
void segment_record_encode(const struct segment_record *record, uint32_t salt,
                           uint8_t out[SEGMENT_RECORD_BYTES]);

/* False when it is not a header of the version we know. *newer: intact, but of a later version. */
bool segment_header_decode(const uint8_t *from, size_t len, struct segment_header *out,
                           bool *newer);
bool segment_record_decode(const uint8_t from[SEGMENT_RECORD_BYTES], uint32_t salt,
                           struct segment_record *out);

uint32_t segment_body_crc(uint32_t salt, struct bytes user, struct bytes payload);

/*
 * Walks the records of one file. The caller fills the first part and may move
 * `limit` and `last_sequence` forward between steps as the file grows.
 */
struct segment_walk {
    const struct fs *fs;
    struct fs_file *file;
    uint32_t salt;
    uint64_t limit;         /* bytes at and behind it are not looked at */
    uint64_t last_sequence; /* newest that counts; UINT64_MAX when unknown */
    bool items_known;       /* items_total says what the segment held in all */
    uint64_t items_total[OTLP_SIGNAL_COUNT];

    uint64_t first_sequence;
    uint64_t offset;                   /* of the next record */
    uint64_t next_sequence;            /* the one expected there */
    uint64_t items[OTLP_SIGNAL_COUNT]; /* up to here, lost ones included */

    uint8_t *window; /* read-ahead, allocated at the first read; segment_walk_clear() frees */
    uint64_t window_offset;
    size_t window_len;
    unsigned failures; /* reads that failed in a row at one place */
};

/* Puts the walk to the segment's first record; keeps the window's memory. */
void segment_walk_begin(struct segment_walk *walk, uint64_t first_sequence);
void segment_walk_clear(struct segment_walk *walk); /* frees memory; the file stays the caller's */

enum segment_step_kind {
    SEGMENT_STEP_RECORD,
    SEGMENT_STEP_DAMAGE, /* sequences that cannot be read; the walk stands behind them */
    SEGMENT_STEP_END,
    SEGMENT_STEP_FAILED, /* the disk did not answer; the walk did not move */
};

struct segment_step {
    enum segment_step_kind kind;
    uint64_t offset, end;                /* bytes of the record, or of the damage */
    struct segment_record record;        /* RECORD */
    uint64_t from_sequence, to_sequence; /* DAMAGE */
    uint64_t items[OTLP_SIGNAL_COUNT];   /* DAMAGE: what was lost */
    bool items_exact;                    /* false: one item per record was assumed */
};

enum segment_verify { SEGMENT_HEADERS_ONLY, SEGMENT_BODIES };

/*
 * One step. With SEGMENT_BODIES the body's checksum is checked and, when `hold`
 * is not NULL, user and payload are put there (FAIL_TOO_LARGE past its ceiling).
 * A third failure to read one place is taken as damage of the pages that fail.
 */
void segment_walk_next(struct segment_walk *walk, enum segment_verify verify, struct buffer *hold,
                       struct segment_step *step, struct error *err);

#endif
