#include "tests/support/memory_control.h"

#include <stdio.h>
#include <string.h>

#include "server/store/audit.h"

static struct memory_control *of(struct control_store *store, struct error *err)
{
    struct memory_control *m = (struct memory_control *)store;
    if (m->failing) {
        error_set(err, FAIL_IO, "the store is told to fail");
        return NULL;
    }
    return m;
}

static bool token_create(struct control_store *store, const struct control_token *token,
                         int64_t *id, struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m || m->token_count == MEMORY_CONTROL_MAX)
        return false;
    m->tokens[m->token_count] = *token;
    m->tokens[m->token_count].id = *id = (int64_t)m->token_count + 1;
    m->token_count++;
    return true;
}

static bool token_find(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                       struct control_token *out, struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m)
        return false;
    m->lookups++;
    for (size_t i = 0; i < m->token_count; i++) {
        if (memcmp(m->tokens[i].sha256, sha256, CONTROL_HASH_BYTES) == 0) {
            *out = m->tokens[i];
            return true;
        }
    }
    return error_set(err, FAIL_NOT_FOUND, "no such token");
}

static bool token_used(struct control_store *store, int64_t id,
                       const struct token_activity *activity, struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m)
        return false;
    m->tokens[id - 1].activity = *activity;
    return true;
}

static bool user_find(struct control_store *store, const char *email, struct control_user *out,
                      struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m)
        return false;
    for (size_t i = 0; i < m->user_count; i++) {
        if (strcmp(m->users[i].email, email) == 0) {
            *out = m->users[i];
            return true;
        }
    }
    return error_set(err, FAIL_NOT_FOUND, "no such user");
}

static struct buffer *value_of(struct memory_control *m, const char *name)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (strcmp(m->value_names[i], name) == 0)
            return &m->values[i];
    return NULL;
}

static bool value_get(struct control_store *store, const char *name, struct buffer *out,
                      struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m)
        return false;
    const struct buffer *value = value_of(m, name);
    if (!value)
        return error_set(err, FAIL_NOT_FOUND, "no such value");
    return buffer_append(out, buffer_bytes(value));
}

static bool value_put(struct control_store *store, const char *name, struct bytes value,
                      struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m)
        return false;
    struct buffer *place = value_of(m, name);
    if (!place) {
        place = &m->values[m->value_count];
        place->max_bytes = 4096;
        snprintf(m->value_names[m->value_count++], sizeof *m->value_names, "%s", name);
    }
    buffer_reset(place);
    return buffer_append(place, value);
}

static bool value_add(struct control_store *store, const char *name, struct bytes value,
                      struct error *err)
{
    struct memory_control *m = of(store, err);
    return m && (value_of(m, name) || value_put(store, name, value, err));
}

static bool audit_put(struct control_store *store, struct audit_entry *entry, struct error *err)
{
    struct memory_control *m = of(store, err);
    if (!m)
        return false;
    m->audit_count++;
    snprintf(m->audited, sizeof m->audited, "%s %s by '%s' from %s", entry->action, entry->subject,
             entry->who, entry->source);
    return true;
}

static const struct control_audit_kind audit_kind = {.add = audit_put};

static const struct control_store_kind kind = {
    .token_create = token_create,
    .token_find = token_find,
    .token_used = token_used,
    .user_find = user_find,
    .value_get = value_get,
    .value_put = value_put,
    .value_add = value_add,
    .audit = &audit_kind,
};

void memory_control_init(struct memory_control *m)
{
    *m = (struct memory_control){.store = {.kind = &kind}};
}

void memory_control_clear(struct memory_control *m)
{
    for (size_t i = 0; i < m->value_count; i++)
        buffer_clear(&m->values[i]);
}
