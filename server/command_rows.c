/* retention run, erase and backup: what is done to the rows as a whole. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "server/auth/identity.h"
#include "server/commands.h"
#include "server/store/api_usage.h"
#include "server/store/fleet.h"

static int finish(struct message_store *store, bool done, const struct error *err)
{
    if (store)
        store->kind->close(store);
    return done ? EXIT_DONE : command_fail(err);
}

static bool note_run(const struct settings *s, const char *action, const char *subject,
                     struct error *err)
{
    struct control_store *store = command_open_control(s, err);
    bool done = store && command_note(store, action, subject, err);
    if (store)
        store->kind->close(store);
    return done;
}

int command_retention_run(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    uint64_t deleted = 0;
    struct message_store *store = command_open_messages(s, &err);
    bool done = store && note_run(s, "retention.run", "rows past their retention", &err) &&
                store->kind->retain(store, clock_wall_ns(&platform_clock), &deleted, &err);
    if (done)
        printf(o->json ? "{\"deleted\":%llu}\n" : "deleted %llu rows past their retention\n",
               (unsigned long long)deleted);
    return finish(store, done, &err);
}

/* Noted under a hash: the log must not be what keeps the name. */
static bool note_erasure(const struct settings *s, const char *person, struct error *err)
{
    uint8_t hash[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1], subject[sizeof hex + 8];
    crypto_sha256(bytes_of(person), hash);
    crypto_hex(bytes_make(hash, sizeof hash), hex);
    snprintf(subject, sizeof subject, "sha256:%s", hex);
    return note_run(s, "erase", subject, err);
}

/* What Anthropic's APIs told of the person goes as well, and what is said of how they do. */
static bool erase_imported(const struct settings *s, const char *person, uint64_t *deleted,
                           struct error *err)
{
    uint64_t imported = 0;
    struct control_store *store = command_open_control(s, err);
    bool done = store && store->kind->api_usage->erase(store, person, &imported, err) &&
                store->kind->fleet->health_forget(store, person, err);
    if (store)
        store->kind->close(store);
    *deleted += imported;
    return done;
}

int command_erase(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    uint64_t deleted = 0;
    char person[CONTROL_EMAIL_BYTES];
    if (!o->email || !email_normalise(bytes_of(o->email), person)) {
        error_set(&err, FAIL_INVALID, "whom to erase is not said");
        error_remedy(&err, "give --email with an e-mail address");
        return command_fail(&err);
    }
    struct message_store *store = command_open_messages(s, &err);
    bool done = store && note_erasure(s, person, &err) &&
                store->kind->erase(store, bytes_of(person), clock_wall_ns(&platform_clock),
                                   &deleted, &err) &&
                erase_imported(s, person, &deleted, &err);
    if (done)
        printf(o->json ? "{\"email\":\"%s\",\"deleted\":%llu}\n"
                       : "erased '%s': %llu rows deleted, and what arrives late stays out\n",
               person, (unsigned long long)deleted);
    return finish(store, done, &err);
}

static bool back_up(const char *url, const char *dir, const char *name,
                    bool (*copy)(const char *url, const char *target, struct error *err),
                    struct error *err)
{
    char *target = xasprintf("%s/%s", dir, name);
    struct fs_stat there;
    bool taken = fs_real.stat(fs_real.disk, target, &there, err);
    bool done = false;
    if (taken) {
        error_set(err, FAIL_INVALID, "'%s' is already there", target);
        error_remedy(err, "give --out a new directory");
    } else {
        done = copy(url, target, err);
    }
    free(target);
    return done;
}

int command_backup(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    if (!o->out) {
        error_set(&err, FAIL_INVALID, "where to is not said");
        error_remedy(&err, "give --out with a new directory");
        return command_fail(&err);
    }
    bool done = fs_make_dirs(&fs_real, o->out, 0700, &err) && note_run(s, "backup", o->out, &err) &&
                back_up(s->store, o->out, "control.db", control_store_backup, &err) &&
                back_up(s->messages, o->out, "messages.db", message_store_backup, &err) &&
                fs_real.sync_dir(fs_real.disk, o->out, &err);
    if (done && o->json)
        puts("{\"done\":true}");
    else if (done)
        printf("backed up to '%s'\n", o->out);
    return done ? EXIT_DONE : command_fail(&err);
}
