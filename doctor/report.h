/* How the outcome is told: to a person, or as JSON (docs/doctor-report.schema.json). */
#ifndef DOCTOR_REPORT_H
#define DOCTOR_REPORT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "doctor/run.h"

enum { REPORT_VERSION = 1, REPORT_BYTES = 8 * 1024 * 1024 };

struct report {
    const struct scene *scene;
    const struct run *run;
    const char *const *done; /* what --fix did, a sentence each */
    size_t done_count;
};

/* Appends the JSON document, which holds no secret. False past the ceiling. */
MUST_USE bool report_put_json(const struct report *report, struct buffer *out);

struct report_style {
    bool color;
    bool verbose; /* every variable of the settings */
};
/* Appends the text for a person; cut where `out` is full. */
void report_print(const struct report *report, const struct report_style *style,
                  struct buffer *out);

#endif
