/* enrollment-secret: what lets a machine become a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "core/json/writer.h"
#include "platform/platform.h"
#include "server/auth/token.h"
#include "server/commands.h"
#include "server/query/instant.h"
#include "server/store/fleet.h"

#define DEFAULT_SYSTEM "claude-code"

/* "ces_" and a token's random part: the same alphabet, safe in files, URLs and shells. */
enum { SECRET_SHOWN_CHARACTERS = 10 };

struct chosen {
    struct control_system system;
    unsigned count;
};

static bool choose(void *context, const struct control_system *system)
{
    struct chosen *chosen = context;
    chosen->system = *system;
    chosen->count++;
    return true;
}

/* The system named, else the only one, else a first one: a new server asks for nothing more. */
static bool find_system(struct control_store *store, const char *name, struct control_system *out,
                        struct error *err)
{
    struct chosen chosen = {.count = 0};
    if (name)
        return store->kind->system_find(store, name, out, err);
    if (!store->kind->system_list(store, choose, &chosen, err))
        return false;
    if (chosen.count == 0)
        return store->kind->system_create(store, DEFAULT_SYSTEM, clock_wall_ns(&platform_clock),
                                          out, err);
    *out = chosen.system;
    if (chosen.count == 1)
        return true;
    error_set(err, FAIL_INVALID, "there are %u systems, and devices report into one", chosen.count);
    return error_remedy(err, "give --system NAME; `" PROGRAM " system list` shows them");
}

static int finish(struct control_store *store, bool done, const struct error *err)
{
    if (store)
        store->kind->close(store);
    return done ? EXIT_DONE : command_fail(err);
}

static void mint(char out[TOKEN_BYTES + 1], struct fleet_secret *secret)
{
    char token[TOKEN_BYTES];
    token_mint(token);
    snprintf(out, TOKEN_BYTES + 1, "ces_%s", token + 3);
    memset(token, 0, sizeof token);
    crypto_sha256(bytes_of(out), secret->sha256);
    snprintf(secret->prefix, sizeof secret->prefix, "%.*s", SECRET_SHOWN_CHARACTERS, out);
}

int command_secret_create(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_system system;
    struct fleet_secret secret = {.created_ns = clock_wall_ns(&platform_clock)};
    char text[TOKEN_BYTES + 1];
    struct control_store *store = command_open_control(s, &err);
    bool done = store && find_system(store, o->system, &system, &err);
    if (done) {
        mint(text, &secret);
        secret.system_id = system.id;
        done = store->kind->fleet->secret_create(store, &secret, &err) &&
               command_note(store, "enrollment-secret.create", secret.prefix, &err);
    }
    if (done && o->json)
        printf("{\"prefix\":\"%s\",\"system\":\"%s\",\"secret\":\"%s\"}\n", secret.prefix,
               system.name, text);
    else if (done)
        printf("%s\n", text);
    return finish(store, done, &err);
}

struct listing {
    bool json;
    struct buffer out;
    struct json_writer w;
};

static void put_day(struct listing *l, const char *key, uint64_t time_ns)
{
    json_put_key(&l->w, key);
    json_put_time(&l->w, time_ns);
}

static bool put_secret(void *context, const struct fleet_secret *secret)
{
    struct listing *l = context;
    char day[INSTANT_DAY_BYTES];
    if (!l->json) {
        instant_day(secret->created_ns, day);
        return buffer_append_format(&l->out, "%-12s created %s  used %llu times%s\n",
                                    secret->prefix, day, (unsigned long long)secret->used_total,
                                    secret->revoked_ns ? "  REVOKED" : "");
    }
    json_object_open(&l->w);
    json_put_key(&l->w, "prefix");
    json_put_string(&l->w, secret->prefix);
    json_put_key(&l->w, "usedTotal");
    json_put_uint(&l->w, secret->used_total);
    put_day(l, "createdAt", secret->created_ns);
    put_day(l, "expiresAt", secret->expires_ns);
    put_day(l, "revokedAt", secret->revoked_ns);
    json_object_close(&l->w);
    return json_writer_ok(&l->w);
}

int command_secret_list(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct listing l = {.json = o->json, .out = {.max_bytes = 16 * MIB}};
    l.w = json_writer_make(&l.out);
    struct control_store *store = command_open_control(s, &err);
    if (l.json)
        json_array_open(&l.w);
    bool done = store && store->kind->fleet->secret_list(store, put_secret, &l, &err);
    if (l.json)
        json_array_close(&l.w);
    if (done)
        printf("%.*s%s", (int)l.out.len, l.out.len ? (const char *)l.out.data : "",
               l.json ? "\n" : "");
    buffer_clear(&l.out);
    return finish(store, done, &err);
}

int command_secret_revoke(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    char prefix[SECRET_SHOWN_CHARACTERS + 1]; /* the whole secret is taken as well */
    snprintf(prefix, sizeof prefix, "%s", o->words[2]);
    struct control_store *store = command_open_control(s, &err);
    bool done =
        store &&
        store->kind->fleet->secret_revoke(store, prefix, clock_wall_ns(&platform_clock), &err) &&
        command_note(store, "enrollment-secret.revoke", prefix, &err);
    if (done)
        printf(o->json ? "{\"revoked\":true}\n"
                       : "revoked; devices that are enrolled already keep their tokens\n");
    return finish(store, done, &err);
}
