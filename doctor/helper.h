/*
 * otelHeadersHelper: the program that Claude Code asks for headers. It is run as the person it
 * is for, as Claude Code would, and its answer judged; never with root's rights, and what it
 * prints is told to nobody but the receiver it is meant for.
 */
#ifndef DOCTOR_HELPER_H
#define DOCTOR_HELPER_H

#include "doctor/scene.h"

enum helper_state {
    HELPER_NONE,    /* none is in force */
    HELPER_NOT_RUN, /* `reason` says why */
    HELPER_FAILED,  /* nothing is sent while it does; `reason` */
    HELPER_SLOW,    /* no answer yet, which Claude Code waits for longer than we do */
    HELPER_GOOD,
};

enum { HELPER_MAX_HEADERS = 32, HELPER_LIMIT_MS = 6000 };

struct helper_answer {
    enum helper_state state;
    bool is_bare; /* run without the person's own environment: that may be why it failed */
    char reason[400];
    size_t count;
    uint64_t duration_ms;
    char *lines[HELPER_MAX_HEADERS + 1]; /* "Name: value", secret; NULL-terminated */
};

/* The document whose helper is in force for this person; NULL. */
const struct view_document *helper_document(const struct settings_view *view);

void helper_ask(const struct scene *scene, const struct settings_view *view,
                struct helper_answer *out);
/* What a helper has printed: HELPER_GOOD with its lines, or HELPER_FAILED. Pure. */
void helper_judge(struct bytes printed, struct helper_answer *out);
void helper_answer_clear(struct helper_answer *answer);

#endif
