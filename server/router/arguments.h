/*
 * The parameters of a query string or a form: "a=1&b=x%20y", decoded
 * (application/x-www-form-urlencoded). Names may repeat and keep their order.
 */
#ifndef SERVER_ROUTER_ARGUMENTS_H
#define SERVER_ROUTER_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

enum { ARGUMENTS_MAX = 128 };

struct argument {
    struct bytes name, value; /* in the arena, each followed by a NUL; valid UTF-8 without NUL */
};

struct arguments {
    struct argument *items;
    size_t count;
};

/* FAIL_INVALID: a bad escape, bytes that are not UTF-8, NUL, or more than ARGUMENTS_MAX. */
MUST_USE bool arguments_parse(struct bytes text, struct arena *arena, struct arguments *out,
                              struct error *err);

/* The last value of `name`; data NULL when absent. */
struct bytes arguments_get(const struct arguments *arguments, const char *name);

/* A whole number from min to max; *out is left alone when absent or empty. FAIL_INVALID names it. */
MUST_USE bool arguments_get_number(const struct arguments *arguments, const char *name,
                                   uint64_t min, uint64_t max, uint64_t *out, struct error *err);

/* FAIL_INVALID when a parameter has none of `names`, a list such as "from, to"; the message says it. */
MUST_USE bool arguments_expect(const struct arguments *arguments, const char *names,
                               struct error *err);

#endif
