#include "server/query/fields.h"

#include <stdio.h>

enum abilities {
    FILTER = 1,
    GROUP = 2,
    MEASURE = 4,
    PERSONAL = 8, /* tells people or their sessions apart */
};

static const struct {
    const char *name;
    enum message_field field;
    unsigned abilities;
} fields[] = {
    {"id", FIELD_ID, FILTER | PERSONAL},
    {"type", FIELD_TYPE, FILTER | GROUP},
    {"serviceName", FIELD_SERVICE_NAME, FILTER | GROUP},
    {"system", FIELD_SYSTEM, FILTER | GROUP},
    {"model", FIELD_MODEL, FILTER | GROUP},
    {"person", FIELD_PERSON, FILTER | GROUP | PERSONAL},
    {"inputTokens", FIELD_INPUT_TOKENS, FILTER | MEASURE},
    {"outputTokens", FIELD_OUTPUT_TOKENS, FILTER | MEASURE},
    {"cacheReadTokens", FIELD_CACHE_READ_TOKENS, FILTER | MEASURE},
    {"cacheCreateTokens", FIELD_CACHE_CREATE_TOKENS, FILTER | MEASURE},
    {"costMicrocents", FIELD_COST_MICROCENTS, FILTER | MEASURE},
    {"costComputedMicrocents", FIELD_COST_COMPUTED_MICROCENTS, FILTER | MEASURE},
    {"durationMs", FIELD_DURATION_MS, FILTER | MEASURE},
    {"success", FIELD_SUCCESS, FILTER | GROUP},
    {"traceId", FIELD_TRACE_ID, FILTER | GROUP | PERSONAL},
    {"spanId", FIELD_SPAN_ID, FILTER | GROUP | PERSONAL},
    {"parentId", FIELD_PARENT_ID, FILTER | GROUP | PERSONAL},
    {"sessionId", FIELD_SESSION_ID, FILTER | GROUP | PERSONAL},
    {"promptId", FIELD_PROMPT_ID, FILTER | GROUP | PERSONAL},
    {"toolName", FIELD_TOOL_NAME, FILTER | GROUP},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* Metadata that says nothing about who: what cohorts are grouped and filtered by. */
static const char *const impersonal_metadata[] = {
    "service.version", "app.version", "os.type",    "host.arch",   "terminal.type", "query_source",
    "speed",           "effort",      "tool_name",  "decision",    "source",        "language",
    "error",           "status_code", "event.name", "span.name",   "team",          "team.id",
    "department",      "cost_center", "skill.name", "plugin.name", "agent.name",
};

static bool is_impersonal(struct bytes key)
{
    for (size_t i = 0; i < sizeof impersonal_metadata / sizeof *impersonal_metadata; i++)
        if (bytes_equal_text(key, impersonal_metadata[i]))
            return true;
    return false;
}

static bool metadata_key(struct bytes name, struct bytes *key)
{
    size_t prefix = bytes_starts_with(name, "metadata.") ? 9
                    : bytes_starts_with(name, "meta.")   ? 5
                                                         : 0;
    if (prefix == 0 || name.len == prefix)
        return false;
    *key = bytes_make(name.data + prefix, name.len - prefix);
    return true;
}

static unsigned needed(enum field_purpose purpose)
{
    switch (purpose) {
    case FIELD_TO_FILTER:
        return FILTER;
    case FIELD_TO_GROUP:
        return GROUP;
    case FIELD_TO_MEASURE:
        return MEASURE;
    case FIELD_TO_COUNT_UNIQUE:
        break;
    }
    return GROUP;
}

static bool refuse_unknown(struct bytes name, enum field_purpose purpose, struct error *err)
{
    static const char *const doing[] = {"filter by", "group by", "compute with",
                                        "count distinct values of"};
    error_set(err, FAIL_INVALID, "'%.*s' is no field to %s", (int)(name.len < 80 ? name.len : 80),
              (const char *)name.data, doing[purpose]);
    char list[ERROR_REMEDY_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < FIELD_COUNT && len < sizeof list; i++)
        if (fields[i].abilities & needed(purpose))
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "",
                                    fields[i].name);
    return error_remedy(err, "use one of %s%s", list,
                        purpose == FIELD_TO_MEASURE ? "" : ", metadata.KEY");
}

/* Sums tell nobody apart; pseudonyms do, but do not say who stands behind a name one knows. */
static bool is_refused(enum field_purpose purpose, enum privacy privacy)
{
    if (purpose == FIELD_TO_COUNT_UNIQUE)
        return false; /* how many, not who */
    return !privacy_has_people(privacy) ||
           (privacy == PRIVACY_PSEUDONYMOUS && purpose == FIELD_TO_FILTER);
}

static bool refuse_person(struct bytes name, enum privacy privacy, struct error *err)
{
    int shown = (int)(name.len < 80 ? name.len : 80);
    if (!privacy_has_people(privacy))
        error_set(err, FAIL_DENIED,
                  "'%.*s' tells people apart, and a viewer, or names=sums and names=cohorts, see "
                  "sums only",
                  shown, (const char *)name.data);
    else
        error_set(err, FAIL_DENIED, "'%.*s' may single out one person, who is shown by name only",
                  shown, (const char *)name.data);
    return error_remedy(err, "ask with names=named, which the role analyst may");
}

bool field_find(struct bytes name, enum field_purpose purpose, enum privacy privacy,
                struct field_use *out, struct error *err)
{
    *out = (struct field_use){0};
    if (metadata_key(name, &out->metadata_key)) {
        out->field = FIELD_METADATA;
        return field_is_impersonal(out) || !is_refused(purpose, privacy) ||
               refuse_person(name, privacy, err);
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!bytes_equal_text(name, fields[i].name))
            continue;
        if (!(fields[i].abilities & needed(purpose)))
            return refuse_unknown(name, purpose, err);
        if ((fields[i].abilities & PERSONAL) && is_refused(purpose, privacy))
            return refuse_person(name, privacy, err);
        out->field = fields[i].field;
        return true;
    }
    return refuse_unknown(name, purpose, err);
}

bool field_is_impersonal(const struct field_use *use)
{
    if (use->field == FIELD_METADATA)
        return is_impersonal(use->metadata_key);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields[i].field == use->field)
            return !(fields[i].abilities & PERSONAL);
    return false;
}

bool field_exists(struct bytes name)
{
    struct bytes key;
    if (metadata_key(name, &key))
        return true;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (bytes_equal_text(name, fields[i].name))
            return true;
    return false;
}

const char *field_name(enum message_field field)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields[i].field == field)
            return fields[i].name;
    return "";
}
