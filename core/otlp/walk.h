/* Shared inside core/otlp: the three levels every request has. */
#ifndef CORE_OTLP_WALK_H
#define CORE_OTLP_WALK_H

#include "core/otlp/otlp.h"

/* What a record stands in. */
struct walk_place {
    struct otlp_attributes resource;
    struct otlp_scope scope;
};

enum walk_outcome { WALK_ON, WALK_STOP, WALK_MALFORMED };

/* Called for each log record, span or metric. */
typedef enum walk_outcome walk_visit(void *context, const struct walk_place *place,
                                     struct bytes record);

MUST_USE bool walk_request(enum otlp_signal signal, struct bytes request, walk_visit *visit,
                           void *context, struct error *err);

/* `id` when it has the right length and is not all zero, else empty. */
struct bytes walk_id(struct bytes id, size_t length);

#endif
