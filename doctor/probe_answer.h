/* What the answer of a receiver, or none, means: which stage is broken, and the fix. Pure but for
 * the environment's proxies. */
#ifndef DOCTOR_PROBE_ANSWER_H
#define DOCTOR_PROBE_ANSWER_H

#include "base/compiler.h"
#include "core/http/certificate.h"
#include "core/http/client.h"
#include "doctor/probe.h"

/* Fills what `out` has to say but for url, status and times. */
void probe_judge(const struct probe_call *call, const struct http_result *result,
                 const struct http_certificate *certificate, struct probe *out);

/* The stage, its fix and what was seen. */
void probe_broken(struct probe *out, enum probe_stage stage, const char *fix, const char *seen, ...)
    PRINTF_LIKE(4, 5);

#endif
