/* audit: who did what. Commands that change something write it, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/crypto/crypto.h"
#include "core/json/writer.h"
#include "platform/platform.h"
#include "server/commands.h"
#include "server/store/audit.h"

enum { LISTED = 1000 };

bool command_note(struct control_store *store, const char *action, const char *subject,
                  struct error *err)
{
    char who[64], host[AUDIT_SOURCE_BYTES];
    snprintf(who, sizeof who, "cli:%lu", (unsigned long)getuid());
    platform_hostname(host, sizeof host);
    const struct audit_note note = {.who = who,
                                    .action = action,
                                    .source = host,
                                    .subject = bytes_of(subject)};
    return audit_add(store, &note, clock_wall_ns(&platform_clock), err);
}

static bool print_entry(void *context, const struct audit_entry *entry)
{
    const struct options *o = context;
    struct buffer line = {.max_bytes = 16 * KIB};
    struct json_writer w = json_writer_make(&line);
    if (o->json) {
        json_object_open(&w);
        json_put_key(&w, "id");
        json_put_int(&w, entry->id);
        json_put_key(&w, "at");
        json_put_time(&w, entry->at_ns);
        json_put_key(&w, "who");
        json_put_string(&w, entry->who);
        json_put_key(&w, "role");
        json_put_string(&w, entry->role);
        json_put_key(&w, "action");
        json_put_string(&w, entry->action);
        json_put_key(&w, "subject");
        json_put_string(&w, entry->subject);
        json_put_key(&w, "source");
        json_put_string(&w, entry->source);
        json_object_close(&w);
    } else {
        json_put_time(&w, entry->at_ns); /* in quotes */
    }
    bool good = json_writer_ok(&w);
    if (o->json)
        printf("%.*s\n", (int)line.len, (const char *)line.data);
    else
        printf("%6lld  %.*s  %-24s %-24s %s  from %s\n", (long long)entry->id, (int)line.len,
               (const char *)line.data, entry->who[0] ? entry->who : "-", entry->action,
               entry->subject, entry->source);
    buffer_clear(&line);
    return good;
}

int command_audit_list(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    const struct audit_query all = {.max = LISTED};
    struct control_store *store = command_open_control(s, &err);
    bool done = store && store->kind->audit->list(store, &all, print_entry, (void *)o, &err);
    if (store)
        store->kind->close(store);
    return done ? EXIT_DONE : command_fail(&err);
}

int command_audit_verify(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct audit_entry last;
    char hash[2 * AUDIT_HASH_BYTES + 1];
    struct control_store *store = command_open_control(s, &err);
    bool done = store && audit_verify(store, &last, &err);
    if (done) {
        crypto_hex(bytes_make(last.hash, sizeof last.hash), hash);
        printf(o->json ? "{\"entries\":%lld,\"hash\":\"%s\"}\n"
                       : "%lld entries, none changed; the newest has the hash %s\n",
               (long long)last.id, hash);
    }
    if (store)
        store->kind->close(store);
    return done ? EXIT_DONE : command_fail(&err);
}
