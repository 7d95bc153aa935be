/*
 * Takes secrets out of a text: those that this machine's configuration and
 * settings hold, wherever they occur, and whatever looks like one. What is left
 * of each is "***". A JSON document stays one.
 */
#ifndef DOCTOR_REDACT_H
#define DOCTOR_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct scene;

/* Known secrets. All-zero is none. */
struct secrets {
    char **list;
    size_t count;
};

/* Adds a secret and, of "Bearer X", also X. What is too short to be one is passed over. */
void secrets_add(struct secrets *secrets, const char *value);
/* Adds all that the scene knows: tokens, headers, files of secrets that can be read. */
void secrets_collect(struct secrets *secrets, const struct scene *scene);
void secrets_clear(struct secrets *secrets);

struct redact_options {
    const struct secrets *secrets; /* or NULL */
    bool by_name; /* also the value of whatever is called token, password, prompt, ... */
    bool emails;  /* also the part of e-mail addresses before the '@' */
};

/* Appends `text` without its secrets. False past the ceiling. */
MUST_USE bool redact(struct bytes text, const struct redact_options *options, struct buffer *out);

#endif
