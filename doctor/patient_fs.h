/*
 * A disk that keeps nobody waiting: another one's, each look at it given up after a while. Who asks
 * for a file of a network home whose server is gone waits for ever, and so would everything else.
 *
 *   scene, checks ──▶ patient_fs ──a thread for each look──▶ disk
 *
 * What did not answer fails with FAIL_BUSY, and so does at once, from then on, all that lies in the
 * folder whose silence it was. Looking is guarded: open, read, size, stat, links, lists, room. The
 * rest goes through as it is, so the disk below must be one that needs no context (fs_real does not).
 * Any thread may use it.
 */
#ifndef DOCTOR_PATIENT_FS_H
#define DOCTOR_PATIENT_FS_H

#include <stdint.h>

#include "platform/fs.h"

struct patient_fs;

/* Borrows `disk`, which must outlive the process's last look at it. */
struct patient_fs *patient_fs_create(const struct fs *disk, uint32_t limit_ms);

/* Looks that have not come back keep what is theirs. NULL is fine. */
void patient_fs_destroy(struct patient_fs *patient);

/* Valid until destroy. */
const struct fs *patient_fs_table(const struct patient_fs *patient);

#endif
