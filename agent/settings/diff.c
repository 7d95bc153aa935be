/* What a plan changes, variable by variable: a whole line of a settings file may hold a secret. */
#include <stdlib.h>
#include <string.h>

#include "agent/settings/plan.h"
#include "base/memory.h"
#include "core/json/edit.h"

static const char *const env_path[] = {"env"};

/* Headers carry tokens; other names are judged by what they usually mean. */
static bool is_secret(struct bytes key, struct bytes value)
{
    static const char *const words[] = {"HEADERS", "TOKEN", "SECRET", "PASSWORD", "_KEY", "PROXY"};
    char name[128] = "";
    memcpy(name, key.data, key.len < sizeof name ? key.len : sizeof name - 1);
    bool harmless = bytes_equal_text(value, "\"x-claude-telemetry=1\"") ||
                    bytes_starts_with(key, "NO_PROXY") || bytes_starts_with(key, "no_proxy") ||
                    bytes_starts_with(key, "CLAUDE_CODE_OTEL_");
    for (size_t i = 0; !harmless && i < sizeof words / sizeof *words; i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

struct member {
    struct bytes key, value;
};

struct members {
    struct member *list;
    size_t count, capacity;
};

static bool collect(void *context, struct bytes key, struct bytes value)
{
    struct members *m = context;
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 64;
        m->list = xrealloc(m->list, m->capacity * sizeof *m->list);
    }
    m->list[m->count++] = (struct member){key, value};
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    size_t len = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = len > 0 ? memcmp(x->key.data, y->key.data, len) : 0;
    return order ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static struct members members_of(struct bytes document)
{
    struct members m = {0};
    struct error ignored;
    (void)!json_edit_each(document, env_path, 1, collect, &m, &ignored);
    return m;
}

/* Prints the members of `these` that `sorted` has not, or has otherwise, in their order. */
static bool print_side(const struct members *these, const struct members *sorted, const char *sign,
                       struct buffer *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < these->count; i++) {
        const struct member *m = &these->list[i];
        const struct member *other = NULL;
        if (sorted->count > 0)
            other = bsearch(m, sorted->list, sorted->count, sizeof *sorted->list, by_key);
        if (other && bytes_equal(other->value, m->value))
            continue;
        struct bytes value = is_secret(m->key, m->value) ? bytes_of("\"***\"") : m->value;
        ok = buffer_append_text(out, sign) && buffer_append_text(out, "    \"") &&
             buffer_append(out, m->key) && buffer_append_text(out, "\": ") &&
             buffer_append(out, value) && buffer_append_byte(out, '\n');
    }
    return ok;
}

static bool print_both(struct bytes before, struct bytes after, struct buffer *out)
{
    struct members old = members_of(before), new = members_of(after);
    struct members old_sorted = members_of(before), new_sorted = members_of(after);
    if (old_sorted.count > 0)
        qsort(old_sorted.list, old_sorted.count, sizeof *old_sorted.list, by_key);
    if (new_sorted.count > 0)
        qsort(new_sorted.list, new_sorted.count, sizeof *new_sorted.list, by_key);
    bool ok = print_side(&old, &new_sorted, "-", out) && print_side(&new, &old_sorted, "+", out);
    free(old.list);
    free(new.list);
    free(old_sorted.list);
    free(new_sorted.list);
    return ok;
}

static bool print_entry(const struct entry *e, struct buffer *out)
{
    struct bytes before = buffer_bytes(&e->before.content), after = buffer_bytes(&e->after);
    bool created = e->change == SETTINGS_CREATE, removed = e->change == SETTINGS_REMOVE;
    bool ok = buffer_append_format(out, "--- %s\n+++ %s", created ? "/dev/null" : e->shown,
                                   removed ? "/dev/null" : e->shown);
    if (ok && created)
        ok = buffer_append_format(out, " (new, mode %04o, owner %u)", (unsigned)e->mode,
                                  (unsigned)e->uid);
    else if (ok && !removed && e->mode != e->before.mode)
        ok = buffer_append_format(out, " (mode %04o, was %04o)", (unsigned)e->mode,
                                  (unsigned)e->before.mode);
    size_t start = out->len;
    ok = ok && buffer_append_text(out, "\n@@ env @@\n");
    size_t head = out->len;
    if (removed)
        after = (struct bytes){0};
    ok = ok && print_both(before, after, out);
    if (ok && out->len == head && out->len > start && e->mode == e->before.mode)
        ok = buffer_append_text(out, " (only the layout differs)\n");
    return ok;
}

bool settings_diff(const struct settings_plan *plan, struct buffer *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < plan->count; i++) {
        const struct entry *e = &plan->entries[i];
        if (e->change == SETTINGS_BLOCKED)
            ok = buffer_append_format(out, "!!! %s: left alone: %s\n", e->shown, e->problem.cause);
        else if (e->change != SETTINGS_UNCHANGED)
            ok = print_entry(e, out);
    }
    return ok;
}
