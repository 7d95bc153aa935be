/*
 * <run>/status.json: how the agent does, without secrets, for every user of the
 * machine, the status command and the doctor. Written whole, and only when
 * something in it changed.
 */
#ifndef AGENT_STATUS_FILE_H
#define AGENT_STATUS_FILE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/fs.h"

struct status_file;

/* `run_dir` is made, mode 0755, when it is missing; copied. fs is borrowed. */
struct status_file *status_file_create(const char *run_dir, const struct fs *fs);
void status_file_destroy(struct status_file *file); /* NULL is fine */

/*
 * Writes the members of one JSON object (without its braces) when they differ from the last
 * ones, adding "updated_at". `wrote` (may be NULL) tells whether it did.
 */
MUST_USE bool status_file_put(struct status_file *file, struct bytes members, uint64_t now_ns,
                              bool *wrote, struct error *err);

/* The agent stops: takes the file away. */
void status_file_remove(struct status_file *file);

/* Reads it; the caller clears `out`. FAIL_NOT_FOUND when there is none. */
MUST_USE bool status_file_read(const char *run_dir, const struct fs *fs, struct buffer *out,
                               struct error *err);

#endif
