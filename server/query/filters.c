#include "server/query/filters.h"

#include <stdio.h>

#include "server/query/fields.h"
#include "server/query/instant.h"

static bool is_other(struct bytes name, const char *const *others)
{
    for (; *others; others++)
        if (bytes_equal_text(name, *others))
            return true;
    return bytes_equal_text(name, "from") || bytes_equal_text(name, "to");
}

static bool read_time(const struct arguments *arguments, const char *name, uint64_t *out,
                      struct error *err)
{
    struct bytes text = arguments_get(arguments, name);
    if (text.len == 0 || instant_parse(text, out))
        return true;
    error_set(err, FAIL_INVALID, "'%s' is neither a date nor a time", name);
    return error_remedy(err, "write 2026-05-01 or 2026-05-01T10:00:00Z");
}

static bool check_type(struct bytes value, struct error *err)
{
    enum message_type type;
    if (message_type_of_name(value, &type))
        return true;
    char list[ERROR_REMEDY_BYTES];
    size_t len = 0;
    for (int i = 0; i < MESSAGE_TYPE_COUNT && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "",
                                message_type_name((enum message_type)i));
    error_set(err, FAIL_INVALID, "'%.*s' is no type", (int)(value.len < 80 ? value.len : 80),
              (const char *)value.data);
    return error_remedy(err, "use one of %s", list);
}

static bool is_boolean(struct bytes value)
{
    return bytes_equal_text(value, "true") || bytes_equal_text(value, "false");
}

static bool is_first_of_its_name(const struct arguments *arguments, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (bytes_equal(arguments->items[i].name, arguments->items[at].name))
            return false;
    return true;
}

/* Every value given under the name at `at`. */
static bool gather_values(const struct arguments *arguments, size_t at, struct arena *arena,
                          struct message_filter *out, struct error *err)
{
    struct bytes *values = arena_alloc_many(arena, arguments->count - at, sizeof *values);
    if (!values)
        return error_set(err, FAIL_TOO_LARGE, "the parameters are too long");
    for (size_t i = at; i < arguments->count; i++) {
        if (arguments->items[i].value.len == 0 ||
            !bytes_equal(arguments->items[i].name, arguments->items[at].name))
            continue;
        if (out->field == FIELD_TYPE && !check_type(arguments->items[i].value, err))
            return false;
        if (out->field == FIELD_SUCCESS && !is_boolean(arguments->items[i].value))
            return error_set(err, FAIL_INVALID, "'success' is true or false");
        values[out->value_count++] = arguments->items[i].value;
    }
    out->values = values;
    return true;
}

static bool refuse_parameter(struct bytes name, const char *const *others, struct error *err)
{
    char list[ERROR_REMEDY_BYTES] = "from, to";
    size_t len = strlen(list);
    for (; *others && len < sizeof list; others++)
        len += (size_t)snprintf(list + len, sizeof list - len, ", %s", *others);
    error_set(err, FAIL_INVALID, "'%.*s' is no parameter", (int)(name.len < 80 ? name.len : 80),
              (const char *)name.data);
    return error_remedy(err,
                        "use %s, metadata.KEY or a column (type, model, system, sessionId, "
                        "promptId, traceId, person, serviceName, toolName, success)",
                        list);
}

bool filters_read(const struct arguments *arguments, const char *const *others,
                  enum privacy privacy, uint32_t time_limit_ms, struct arena *arena,
                  struct message_query *out, struct error *err)
{
    *out = (struct message_query){.time_limit_ms = time_limit_ms};
    struct message_filter *filters = arena_alloc_many(arena, arguments->count + 1, sizeof *filters);
    if (!filters)
        return error_set(err, FAIL_TOO_LARGE, "the parameters are too long");
    for (size_t i = 0; i < arguments->count; i++) {
        struct bytes name = arguments->items[i].name;
        if (is_other(name, others) || !is_first_of_its_name(arguments, i))
            continue;
        struct field_use use;
        if (!field_exists(name))
            return refuse_parameter(name, others, err);
        if (!field_find(name, FIELD_TO_FILTER, privacy, &use, err))
            return false;
        struct message_filter *filter = &filters[out->filter_count];
        filter->field = use.field;
        filter->metadata_key = use.metadata_key;
        if (!gather_values(arguments, i, arena, filter, err))
            return false;
        if (filter->value_count > 0)
            out->filter_count++;
    }
    out->filters = filters;
    if (!read_time(arguments, "from", &out->from_ns, err) ||
        !read_time(arguments, "to", &out->to_ns, err))
        return false;
    if (out->from_ns && out->to_ns && out->from_ns > out->to_ns)
        return error_set(err, FAIL_INVALID, "'from' is after 'to'");
    return true;
}
