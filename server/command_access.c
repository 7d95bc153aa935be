/* system and token: who may send. All work beside a running server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "server/auth/identity.h"
#include "server/auth/token.h"
#include "server/command_list.h"

static const char *const plans[] = {"free", "pro", "enterprise"};

/* ---- system ---- */

static bool put_system(void *context, const struct control_system *system)
{
    struct list *l = context;
    struct json_writer *w = &l->writer;
    char day[INSTANT_DAY_BYTES];
    if (!l->json)
        return buffer_append_format(&l->out, "%-40s created %s\n", system->name,
                                    list_day(system->created_ns, day));
    json_object_open(w);
    json_put_key(w, "id");
    json_put_int(w, system->id);
    json_put_key(w, "name");
    json_put_string(w, system->name);
    json_put_key(w, "createdAt");
    json_put_time(w, system->created_ns);
    json_object_close(w);
    return json_writer_ok(w);
}

int command_system_create(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_system system;
    struct list l;
    struct control_store *store = command_open_control(s, &err);
    bool done = store && store->kind->system_create(store, o->words[2],
                                                    clock_wall_ns(&platform_clock), &system, &err);
    done = done && command_note(store, "system.create", system.name, &err);
    if (done && o->json) {
        list_open(&l, true, false);
        done = put_system(&l, &system);
        list_print(&l);
    } else if (done) {
        printf("created system '%s'\n", system.name);
    }
    return command_finish(store, done, &err);
}

int command_system_list(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct list l;
    struct control_store *store = command_open_control(s, &err);
    bool done =
        store && store->kind->system_list(store, put_system, list_open(&l, o->json, true), &err);
    if (done)
        list_print(&l);
    return command_finish(store, done, &err);
}

/* ---- token ---- */

static bool read_number(const char *text, const char *option, long max, long *out,
                        struct error *err)
{
    char *end = NULL;
    long value = text ? strtol(text, &end, 10) : 0;
    if (text && (*text < '0' || *text > '9' || *end || value > max)) {
        error_set(err, FAIL_INVALID, "%s must be a whole number from 0 to %ld", option, max);
        return error_remedy(err, "write for example %s 30, or leave it out", option);
    }
    *out = value;
    return true;
}

static bool read_plan(const char *text, enum control_plan *out, struct error *err)
{
    *out = PLAN_FREE;
    for (int i = PLAN_FREE; text && i <= PLAN_ENTERPRISE; i++) {
        if (strcmp(text, plans[i]) == 0) {
            *out = (enum control_plan)i;
            return true;
        }
    }
    if (!text)
        return true;
    error_set(err, FAIL_INVALID, "'%.40s' is no plan", text);
    return error_remedy(err, "give --plan free, --plan pro or --plan enterprise");
}

static bool describe_token(const struct options *o, struct control_token *token, struct error *err)
{
    long days, rate;
    *token = (struct control_token){.created_ns = clock_wall_ns(&platform_clock)};
    if (!o->system) {
        error_set(err, FAIL_INVALID, "a token belongs to a system");
        return error_remedy(err, "give --system NAME; `system list` shows them");
    }
    if (o->user && !email_normalise(bytes_of(o->user), token->person)) {
        error_set(err, FAIL_INVALID, "--user '%.80s' is no e-mail address", o->user);
        return error_remedy(err, "write for example --user alice@example.com");
    }
    if (!read_number(o->retention_days, "--retention-days", 36500, &days, err) ||
        !read_number(o->rate, "--rate", 100000000, &rate, err) ||
        !read_plan(o->plan, &token->plan, err))
        return false;
    token->retention_days = (int)days;
    token->records_per_s = (uint32_t)rate;
    return true;
}

static bool find_system(struct control_store *store, const char *name,
                        struct control_system *system, struct error *err)
{
    if (store->kind->system_find(store, name, system, err))
        return true;
    if (err->kind == FAIL_NOT_FOUND)
        error_remedy(err, "create it with `" PROGRAM " system create %s`", name);
    return false;
}

int command_token_create(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_token token;
    struct control_system system;
    char text[TOKEN_BYTES];
    if (!describe_token(o, &token, &err))
        return command_fail(&err);
    struct control_store *store = command_open_control(s, &err);
    bool done = store && find_system(store, o->system, &system, &err);
    if (done) {
        token_mint(text);
        token_hash(bytes_of(text), token.sha256);
        token_prefix(bytes_of(text), token.prefix);
        token.system_id = system.id;
        done = store->kind->token_create(store, &token, &token.id, &err) &&
               command_note(store, "token.create", token.prefix, &err);
    }
    if (done && o->json)
        printf("{\"id\":%lld,\"prefix\":\"%s\",\"token\":\"%s\"}\n", (long long)token.id,
               token.prefix, text);
    else if (done)
        printf("%s\n", text);
    return command_finish(store, done, &err);
}

static bool put_token(void *context, const struct control_token *t)
{
    struct list *l = context;
    struct json_writer *w = &l->writer;
    char created[INSTANT_DAY_BYTES], used[INSTANT_DAY_BYTES], rate[24] = "default rate";
    if (t->records_per_s)
        snprintf(rate, sizeof rate, "%u/s", (unsigned)t->records_per_s);
    if (!l->json)
        return buffer_append_format(
            &l->out, "%4lld  %-13s %-24s %-28s %-10s %5d d  %s  created %s  used %s%s\n",
            (long long)t->id, t->prefix, t->system, t->person[0] ? t->person : "-", plans[t->plan],
            t->retention_days, rate, list_day(t->created_ns, created),
            list_day(t->activity.used_ns, used), t->revoked_ns ? "  REVOKED" : "");
    json_object_open(w);
    json_put_key(w, "id");
    json_put_int(w, t->id);
    json_put_key(w, "prefix");
    json_put_string(w, t->prefix);
    json_put_key(w, "system");
    json_put_string(w, t->system);
    json_put_key(w, "user");
    json_put_string(w, t->person[0] ? t->person : NULL);
    json_put_key(w, "plan");
    json_put_string(w, plans[t->plan]);
    json_put_key(w, "retentionDays");
    json_put_int(w, t->retention_days);
    json_put_key(w, "recordsPerSecond");
    if (t->records_per_s)
        json_put_uint(w, t->records_per_s);
    else
        json_put_null(w);
    json_put_key(w, "createdAt");
    json_put_time(w, t->created_ns);
    json_put_key(w, "lastUsedAt");
    json_put_time(w, t->activity.used_ns);
    json_put_key(w, "revokedAt");
    json_put_time(w, t->revoked_ns);
    json_object_close(w);
    return json_writer_ok(w);
}

int command_token_list(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct list l;
    struct control_store *store = command_open_control(s, &err);
    bool done =
        store && store->kind->token_list(store, put_token, list_open(&l, o->json, true), &err);
    if (done)
        list_print(&l);
    return command_finish(store, done, &err);
}

/* Finds the token when it is given whole: two may begin alike. */
static bool revoke_whole(struct control_store *store, const char *text, uint64_t now_ns,
                         struct error *err)
{
    struct control_token token;
    uint8_t hash[SHA256_BYTES];
    char id[24];
    token_hash(bytes_of(text), hash);
    if (!store->kind->token_find(store, hash, &token, err))
        return false;
    snprintf(id, sizeof id, "%lld", (long long)token.id);
    return store->kind->token_revoke(store, id, now_ns, err);
}

int command_token_revoke(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    uint64_t now_ns = clock_wall_ns(&platform_clock);
    const char *name = o->words[2];
    char shown[TOKEN_PREFIX_BYTES]; /* a token may be named by itself, and is not printed then */
    bool is_whole = token_is_well_formed(bytes_of(name));
    if (is_whole)
        token_prefix(bytes_of(name), shown);
    else
        snprintf(shown, sizeof shown, "%.12s", name);
    struct control_store *store = command_open_control(s, &err);
    bool done = store && (is_whole ? revoke_whole(store, name, now_ns, &err)
                                   : store->kind->token_revoke(store, name, now_ns, &err));
    if (store && !done && err.kind == FAIL_NOT_FOUND) {
        error_set(&err, FAIL_NOT_FOUND, "no valid token, or more than one, is called '%s'", shown);
        error_remedy(&err, "give the whole token, or its id: `" PROGRAM " token list --json`");
    }
    done = done && command_note(store, "token.revoke", shown, &err);
    if (done && !o->json)
        printf("revoked '%s'; running servers refuse it within seconds\n", shown);
    else if (done)
        printf("{\"revoked\":true}\n");
    return command_finish(store, done, &err);
}
