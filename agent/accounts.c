#include "agent/accounts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/template.h"
#include "core/crypto/crypto.h"
#include "platform/platform.h"

enum { KEY_BYTES = 32, HOSTNAME_BYTES = 256, MAX_SOURCES = 8 };

struct accounts {
    const struct fs *fs;
    char *root;
    char hostname[HOSTNAME_BYTES];
    uint8_t key[KEY_BYTES];

    pthread_mutex_t lock; /* guards what follows; the main thread alone changes it */
    struct local_users users;
    char *machine_email; /* identity.email: whoever uses this machine */
    char *device_id, *device_token;

    struct accounts_hint *hints; /* the main thread's alone; texts owned */
    size_t hint_count;
};

static bool load_key(struct accounts *a, const char *state_dir, bool may_write, struct error *err)
{
    char *path = xasprintf("%s/local-token-key", state_dir);
    struct buffer text = {.max_bytes = 4 * KEY_BYTES};
    bool ok = fs_read_file(a->fs, path, &text, err) && text.len == KEY_BYTES;
    if (ok) {
        memcpy(a->key, text.data, KEY_BYTES);
    } else {
        /* Missing or cut short: a new one; settings with old tokens are repaired as drift. */
        platform_random(a->key, sizeof a->key);
        ok = !may_write || (fs_make_dirs(a->fs, state_dir, 0700, err) &&
                            fs_replace_file_in(a->fs, state_dir, "local-token-key",
                                               bytes_make(a->key, sizeof a->key), 0600, err));
    }
    buffer_clear(&text);
    free(path);
    return ok;
}

struct accounts *accounts_create(const char *root, const char *state_dir, bool may_write,
                                 const struct fs *fs, struct error *err)
{
    struct accounts *a = xcalloc(1, sizeof *a);
    a->fs = fs;
    a->root = xstrdup(root);
    pthread_mutex_init(&a->lock, NULL);
    platform_hostname(a->hostname, sizeof a->hostname);
    if (load_key(a, state_dir, may_write, err))
        return a;
    accounts_destroy(a);
    error_wrap(err, "cannot keep state in '%s'", state_dir);
    return NULL;
}

void accounts_destroy(struct accounts *a)
{
    if (!a)
        return;
    local_users_clear(&a->users);
    accounts_tell(a, NULL, 0);
    free(a->machine_email);
    free(a->device_id);
    free(a->device_token);
    free(a->root);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

void accounts_tell(struct accounts *a, const struct accounts_hint *hints, size_t count)
{
    for (size_t i = 0; i < a->hint_count; i++) {
        free((char *)a->hints[i].user);
        free((char *)a->hints[i].email);
        free((char *)a->hints[i].source);
    }
    free(a->hints);
    a->hints = count > 0 ? xcalloc(count, sizeof *a->hints) : NULL;
    a->hint_count = count;
    for (size_t i = 0; i < count; i++)
        a->hints[i] = (struct accounts_hint){.user = xstrdup(hints[i].user),
                                             .email = xstrdup(hints[i].email),
                                             .source = xstrdup(hints[i].source)};
}

/* Judged by the same rules as if it came from its source here. */
static void take_hints(const struct accounts *a, const char *domain, struct local_users *users)
{
    for (size_t i = 0; i < users->count; i++)
        for (size_t h = 0; h < a->hint_count; h++) {
            struct local_user *user = &users->list[i];
            char email[IDENTITY_EMAIL_BYTES];
            struct error refused = {0};
            if (user->email || strcmp(user->name, a->hints[h].user) != 0 ||
                !identity_accept_email(a->hints[h].email, domain, email, &refused))
                continue;
            free(user->problem);
            user->problem = NULL;
            user->email = xstrdup(email);
            if (!identity_source_of_name(a->hints[h].source, &user->source))
                user->source = IDENTITY_CONFIG;
        }
}

static void resolve(struct accounts *a, const struct config *values, struct local_users *users)
{
    enum identity_source sources[MAX_SOURCES];
    size_t count = 0;
    for (size_t i = 0; i < config_list_count(values, "identity.email_from"); i++)
        if (count < MAX_SOURCES &&
            identity_source_of_name(config_list_at(values, "identity.email_from", i),
                                    &sources[count]))
            count++;
    struct identity_options options = {
        .root = a->root,
        .email = config_text(values, "identity.email"),
        .sources = sources,
        .source_count = count,
        .email_domain = config_text(values, "identity.email_domain"),
        .command = a->hint_count > 0 ? NULL : config_text(values, "identity.command"),
        .command_timeout_ms =
            (uint32_t)config_integer(values, "identity.command_timeout_seconds") * 1000,
    };
    identity_resolve(&options, a->fs, users);
    take_hints(a, options.email_domain, users);
}

void accounts_refresh(struct accounts *a, const struct config *values, struct log *log)
{
    struct local_users users = {0};
    struct error err = {0};
    char email[IDENTITY_EMAIL_BYTES] = "";
    const char *configured = config_text(values, "identity.email");
    /* Below another root the system's directory would tell of other people. */
    const struct users_directory *directory =
        strcmp(a->root, "/") == 0 ? &users_system_directory : NULL;
    if (!local_users_read(a->root, a->fs, directory, &users, &err)) {
        log_failure(log, LOG_DEBUG_LEVEL, "identity", "no local users", &err);
        local_users_clear(&users);
    }
    resolve(a, values, &users);
    if (configured &&
        !identity_accept_email(configured, config_text(values, "identity.email_domain"), email,
                               &err))
        log_failure(log, LOG_WARN_LEVEL, "identity", "identity.email is refused", &err);

    pthread_mutex_lock(&a->lock);
    struct local_users before = a->users;
    char *email_before = a->machine_email;
    a->users = users;
    a->machine_email = email[0] ? xstrdup(email) : NULL;
    pthread_mutex_unlock(&a->lock);
    local_users_clear(&before);
    free(email_before);
}

void accounts_set_device(struct accounts *a, const char *id, const char *token)
{
    pthread_mutex_lock(&a->lock);
    free(a->device_id);
    free(a->device_token);
    a->device_id = xstrdup(id);
    a->device_token = xstrdup(token);
    pthread_mutex_unlock(&a->lock);
}

const struct local_users *accounts_users(const struct accounts *a)
{
    return &a->users;
}

void accounts_token(const struct accounts *a, const char *user, char out[ACCOUNTS_TOKEN_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    char *subject = xasprintf("local token of %s", user);
    crypto_hmac_sha256(bytes_make(a->key, sizeof a->key), bytes_of(subject), digest);
    crypto_hex(bytes_make(digest, (ACCOUNTS_TOKEN_BYTES - 1) / 2), out);
    free(subject);
}

void accounts_put_users(const struct accounts *a, struct json_writer *w)
{
    json_array_open(w);
    for (size_t i = 0; i < a->users.count; i++) {
        const struct local_user *user = &a->users.list[i];
        json_object_open(w);
        json_member_string(w, "local_user", user->name);
        json_member_string(w, "email", user->email);
        json_member_string(w, "source", identity_source_name(user->source));
        if (user->problem) {
            json_member_string(w, "problem", user->problem);
        }
        json_object_close(w);
    }
    if (a->users.count == 0 &&
        a->machine_email) { /* nobody is listed, and yet it is known whose it is */
        json_object_open(w);
        json_put_key(w, "local_user");
        json_put_null(w);
        json_member_string(w, "email", a->machine_email);
        json_member_string(w, "source", identity_source_name(IDENTITY_CONFIG));
        json_object_close(w);
    }
    json_array_close(w);
}

static void fill_person(const struct local_user *user, struct relay_person *out)
{
    snprintf(out->local_user, sizeof out->local_user, "%s", user->name);
    snprintf(out->email, sizeof out->email, "%s", user->email ? user->email : "");
}

static bool anyone_has_email(const struct accounts *a)
{
    for (size_t i = 0; i < a->users.count; i++)
        if (a->users.list[i].email)
            return true;
    return false;
}

/* Under the lock. */
static bool find_person(const struct accounts *a, const uint32_t *uid, struct relay_person *out)
{
    memset(out, 0, sizeof *out);
    if (!uid && a->users.count == 1) {
        fill_person(&a->users.list[0], out);
        return true;
    }
    for (size_t i = 0; uid && i < a->users.count; i++) {
        if (a->users.list[i].uid != *uid)
            continue;
        fill_person(&a->users.list[i], out);
        /* Without an address nothing would be stamped, and a claim of somebody else's would
         * pass: then it is nobody's, unless there is nobody else to claim. */
        return out->email[0] != '\0' || !anyone_has_email(a);
    }
    if (a->machine_email) {
        snprintf(out->email, sizeof out->email, "%s", a->machine_email);
        return true;
    }
    /* Not a person's account, as in a container. Where no address is known there is none to claim.
     */
    return !anyone_has_email(a);
}

static bool person_of_uid(void *context, const uint32_t *uid, struct relay_person *out)
{
    struct accounts *a = context;
    pthread_mutex_lock(&a->lock);
    bool known = find_person(a, uid, out);
    pthread_mutex_unlock(&a->lock);
    return known;
}

static bool check_token(void *context, struct bytes token, struct relay_person *out)
{
    struct accounts *a = context;
    bool found = false;
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->users.count; i++) {
        char good[ACCOUNTS_TOKEN_BYTES];
        accounts_token(a, a->users.list[i].name, good);
        if (!bytes_equal_constant_time(token, bytes_of(good)))
            continue;
        fill_person(&a->users.list[i], out);
        found = true;
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

/* One expansion: what its variables are. */
struct meaning {
    const struct accounts *accounts;
    const struct relay_person *person;
};

static const char *value_of(void *context, const char *name)
{
    const struct meaning *m = context;
    if (strcmp(name, "email") == 0)
        return m->person ? m->person->email : NULL;
    if (strcmp(name, "local_user") == 0)
        return m->person ? m->person->local_user : NULL;
    if (strcmp(name, "device_id") == 0)
        return m->accounts->device_id;
    if (strcmp(name, "device_token") == 0)
        return m->accounts->device_token;
    if (strcmp(name, "hostname") == 0)
        return m->accounts->hostname;
    return NULL;
}

bool accounts_expand(struct accounts *a, const char *text, const struct relay_person *person,
                     struct buffer *out, struct error *err)
{
    struct meaning meaning = {.accounts = a, .person = person};
    struct config_variables variables = {.context = &meaning,
                                         .value = value_of,
                                         .fs = a->fs,
                                         .root = a->root};
    pthread_mutex_lock(&a->lock);
    bool ok = config_template_expand(text, &variables, out, err);
    pthread_mutex_unlock(&a->lock);
    if (!ok && err->kind == FAIL_NOT_FOUND && config_template_uses(text, "device_token"))
        error_remedy(err, "enrol this device: set server.url and server.enrollment_secret_file");
    return ok;
}

static bool expand(void *context, const char *text, const struct relay_person *person,
                   struct buffer *out, struct error *err)
{
    return accounts_expand(context, text, person, out, err);
}

struct relay_callbacks accounts_callbacks(struct accounts *a)
{
    return (struct relay_callbacks){.context = a,
                                    .person_of_uid = person_of_uid,
                                    .check_token = check_token,
                                    .expand = expand};
}
