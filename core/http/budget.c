#include "core/http/internal.h"

#include <stdlib.h>

#include "base/memory.h"

struct http_budget {
    atomic_size_t max_bytes;
    atomic_size_t held;
    atomic_uint_least64_t refused;
};

struct http_budget *http_budget_create(size_t max_bytes)
{
    struct http_budget *budget = xcalloc(1, sizeof *budget);
    http_budget_resize(budget, max_bytes);
    return budget;
}

void http_budget_resize(struct http_budget *budget, size_t max_bytes)
{
    atomic_store(&budget->max_bytes, max_bytes);
}

void http_budget_destroy(struct http_budget *budget)
{
    free(budget);
}

void http_budget_read(const struct http_budget *budget, struct http_budget_state *out)
{
    *out = (struct http_budget_state){.max_bytes = atomic_load(&budget->max_bytes),
                                      .held_bytes = atomic_load(&budget->held),
                                      .refused_total = atomic_load(&budget->refused)};
}

bool exchange_charge(struct http_exchange *exchange)
{
    struct http_budget *budget = exchange->budget;
    size_t holds = exchange->body.capacity;
    if (!budget || holds == exchange->charged)
        return true;
    if (holds < exchange->charged) {
        atomic_fetch_sub(&budget->held, exchange->charged - holds);
        exchange->charged = holds;
        return true;
    }
    /* Small ones always pass, and are bounded by the connections: a few large uploads that never
     * end must not lock everybody out. */
    size_t more = holds - exchange->charged;
    size_t held = atomic_fetch_add(&budget->held, more) + more;
    if (held > atomic_load(&budget->max_bytes) && holds > BODY_STEP_BYTES) {
        atomic_fetch_sub(&budget->held, more);
        atomic_fetch_add(&budget->refused, 1);
        exchange_drop_body(exchange);
        return false;
    }
    exchange->charged = holds;
    return true;
}

void exchange_drop_body(struct http_exchange *exchange)
{
    buffer_clear(&exchange->body);
    if (exchange->budget)
        atomic_fetch_sub(&exchange->budget->held, exchange->charged);
    exchange->charged = 0;
}
