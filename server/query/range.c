#include "server/query/range.h"

#include "base/clock.h"
#include "server/query/instant.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)

static bool read_one(const struct arguments *arguments, const char *name, uint64_t *out,
                     struct error *err)
{
    struct bytes text = arguments_get(arguments, name);
    *out = 0;
    if (text.len == 0 || instant_parse(text, out))
        return true;
    error_set(err, FAIL_INVALID, "'%s' is no day", name);
    return error_remedy(err, "write it like 2026-05-01");
}

bool range_read(const struct arguments *arguments, uint64_t now_ns, struct range *out,
                struct error *err)
{
    bool has_from = arguments_get(arguments, "from").len > 0;
    bool has_to = arguments_get(arguments, "to").len > 0;
    if (!read_one(arguments, "from", &out->from_ns, err) ||
        !read_one(arguments, "to", &out->to_ns, err))
        return false;
    if (!has_to)
        out->to_ns = now_ns + DAY_NS;
    else if (out->to_ns % DAY_NS || (has_from && out->from_ns == out->to_ns))
        out->to_ns += DAY_NS;
    out->to_ns = out->to_ns / DAY_NS * DAY_NS;
    if (!has_from)
        out->from_ns =
            out->to_ns > RANGE_DEFAULT_DAYS * DAY_NS ? out->to_ns - RANGE_DEFAULT_DAYS * DAY_NS : 0;
    out->from_ns = out->from_ns / DAY_NS * DAY_NS;
    if (out->from_ns >= out->to_ns || out->to_ns - out->from_ns > RANGE_MAX_DAYS * DAY_NS)
        return error_set(err, FAIL_INVALID, "'from' must be at most %d days before 'to'",
                         RANGE_MAX_DAYS);
    return true;
}
