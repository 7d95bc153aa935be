/*
 * Asks a receiver for an answer and tells the first stage that is broken:
 *
 *   name ─▶ TCP ─▶ TLS ─▶ authentication ─▶ acceptance
 *
 * with an empty OTLP export, which no receiver stores. Each peer is asked once
 * a run, by whichever check comes first; the others wait for it.
 */
#ifndef DOCTOR_PROBE_H
#define DOCTOR_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "doctor/finding.h"
#include "doctor/scene.h"

enum probe_stage {
    PROBE_CREDENTIAL, /* what we should show could not be read */
    PROBE_DNS,
    PROBE_TCP,
    PROBE_TLS,
    PROBE_AUTH,
    PROBE_ACCEPTS,
    PROBE_DONE, /* nothing is broken */
};

struct probe {
    enum probe_stage broken; /* the first one that is */
    bool is_tls;
    char url[600];
    char seen[900];     /* what happened there */
    char fix[700];      /* "" when the stage has a general one */
    char through[400];  /* " through the proxy '…' (whose setting)"; "" without one */
    int status;         /* HTTP; 0: no answer */
    uint64_t answer_ms; /* once connected: Claude Code keeps its connection */
    int64_t skew_s;     /* the peer's clock minus ours, when it tells its time */
    bool has_time;
};

struct probes;
struct probes *probes_create(const struct scene *scene);
void probes_destroy(struct probes *probes); /* NULL is fine */

/* Each is valid until destroy. */
const struct probe *probe_destination(struct probes *probes, size_t index);
const struct probe *probe_relay(struct probes *probes);    /* <relay>/healthz */
const struct probe *probe_export(struct probes *probes);   /* an empty export to the relay */
const struct probe *probe_receiver(struct probes *probes); /* see receiver.h */
const struct probe *probe_server(struct probes *probes);   /* <server.url>/readyz */
struct helper_answer;
/* Of the person of scene->views[view]. */
const struct helper_answer *probe_helper(struct probes *probes, size_t view);

/* Each header line of every helper that was asked: secrets. Not while checks run. */
void probe_each_helper_line(struct probes *probes, void (*visit)(void *context, const char *line),
                            void *context);

/* What the finding of one stage is, given which stage is broken. */
void probe_tell(const struct probe *probe, enum probe_stage stage, const char *name,
                struct finding *finding);

/* One empty export to `url` with these header lines (NULL-terminated), as a client would. */
struct probe_call {
    const char *url;
    const char *const *headers;
    const char *ca_file; /* or NULL */
    const char *proxy;   /* as in struct http_call; what is told of it is without its password */
    const char *source;  /* who names `proxy` where no variable does; NULL or "" when nobody */
    const char *body;    /* NULL: an empty export */
    bool is_get;
    bool is_grpc; /* a call of the method that `url` names */
};
void probe_perform(const struct probe_call *call, const struct clock *clock, struct probe *out);

/* The same; a slow answer is asked for once more, since a machine may be busy for a moment. Past
 * PROBE_SLOW_MS Claude Code loses what it sends at its end. */
enum { PROBE_SLOW_MS = 1500 };
void probe_perform_timed(const struct probe_call *call, const struct clock *clock,
                         struct probe *out);

/* The header line "X-Relay-Token: …" that Claude Code would show the relay; false when none. */
enum { PROBE_LINE_BYTES = 256 };
bool probe_relay_token_line(const struct scene *scene, char out[PROBE_LINE_BYTES]);

#endif
