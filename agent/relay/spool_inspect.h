/*
 * Looking at a spool from outside: what `spool list`, `verify` and `export`
 * print. Reads only, takes no lock, and may run while the agent does; what the
 * agent writes or removes meanwhile is seen or not.
 */
#ifndef AGENT_RELAY_SPOOL_INSPECT_H
#define AGENT_RELAY_SPOOL_INSPECT_H

#include "agent/relay/spool.h"

/* One segment, read through. */
struct spool_segment_info {
    char name[48];                          /* of the file */
    uint64_t first_sequence, last_sequence; /* of its records; last 0: it holds none */
    uint64_t size_bytes, used_bytes;
    uint64_t records[OTLP_SIGNAL_COUNT], items[OTLP_SIGNAL_COUNT];
    uint64_t oldest_ns, newest_ns; /* received */
    uint64_t damaged_records, damaged_items;
    bool header_ok;
};

/* One file of quarantine/. */
struct spool_quarantine_info {
    char name[128];
    uint64_t from_sequence, to_sequence;
    uint64_t received_ns;
    enum otlp_signal signal;
    uint64_t item_count;
    uint64_t payload_bytes;
    char destination[64]; /* "" for damaged bytes of the spool itself */
    char reason[256];
    bool readable; /* false: the file is damaged; only `name` is valid */
};

struct spool_position_info {
    char name[64];
    uint64_t done;
    bool readable; /* false: damaged; the destination reads again from the oldest record */
};

/* Each visit is borrowed for the call; any may be NULL. Oldest first. */
struct spool_list {
    void *context;
    void (*segment)(void *context, const struct spool_segment_info *segment);
    void (*quarantine)(void *context, const struct spool_quarantine_info *entry);
    void (*position)(void *context, const struct spool_position_info *position);
    void (*loss)(void *context, const struct spool_ledger_entry *entry);
};

/* FAIL_NOT_FOUND when there is no spool at `dir`. */
MUST_USE bool spool_inspect_list(const struct fs *fs, const char *dir,
                                 const struct spool_list *list, struct error *err);

struct spool_verdict {
    uint64_t segments, records, bytes;
    uint64_t damaged_records; /* fail their checksum, or are missing in between */
    uint64_t damaged_headers; /* segment headers; they cost no record */
    uint64_t quarantine_files, damaged_quarantine_files;
    uint64_t damaged_positions;
};

/* Checks every checksum. True when the spool could be read; it is sound when no damaged_… is set.
 */
MUST_USE bool spool_inspect_verify(const struct fs *fs, const char *dir, struct spool_verdict *out,
                                   struct error *err);

/*
 * Writes every record that is intact to `into` (created when missing) as
 * "<sequence>-<signal>.bin": the request as it would be sent, protobuf.
 * Quarantined requests go to "quarantine-<name>.bin". `count` says how many.
 */
MUST_USE bool spool_inspect_export(const struct fs *fs, const char *dir, const char *into,
                                   uint64_t *count, struct error *err);

#endif
