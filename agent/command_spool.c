/*
 * spool list, verify, export: what lies on disk, also while the agent runs. The spool's records and
 * items are called what they are to people: requests, and the records in them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "agent/relay/spool_inspect.h"
#include "base/memory.h"
#include "core/json/writer.h"
#include "platform/platform.h"

enum { LIST_BYTES = 64 * 1024 * 1024 };

/* Segments, quarantine, positions and losses come mixed: each goes to its own text. */
struct listing {
    struct buffer segments, quarantine, positions, losses;
    struct json_writer segment, entry, position, loss;
    uint64_t requests, records, damaged;
    bool json;
};

/* A time as JSON gives it, without the quotes. */
static const char *time_text(uint64_t ns, char out[48])
{
    struct buffer text = {.max_bytes = 64};
    struct json_writer w = json_writer_make(&text);
    json_put_time(&w, ns);
    if (ns == 0 || text.len < 2)
        snprintf(out, 48, "-");
    else
        snprintf(out, 48, "%.*s", (int)(text.len - 2), (const char *)text.data + 1);
    buffer_clear(&text);
    return out;
}

static void on_segment(void *context, const struct spool_segment_info *s)
{
    struct listing *l = context;
    uint64_t requests = 0, records = 0;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        requests += s->records[i];
        records += s->items[i];
    }
    l->requests += requests;
    l->records += records;
    l->damaged += s->damaged_records + !s->header_ok;
    if (!l->json) {
        char oldest[48], newest[48];
        printf("segment     %s: %" PRIu64 " requests (%" PRIu64 " records), %" PRIu64 " of %" PRIu64
               " bytes used, %s to %s%s\n",
               s->name, requests, records, s->used_bytes, s->size_bytes,
               time_text(s->oldest_ns, oldest), time_text(s->newest_ns, newest),
               s->damaged_records || !s->header_ok ? ", DAMAGED" : "");
        return;
    }
    struct json_writer *w = &l->segment;
    json_object_open(w);
    json_member_string(w, "name", s->name);
    json_member_uint(w, "first_sequence", s->first_sequence);
    json_member_uint(w, "last_sequence", s->last_sequence);
    json_member_uint(w, "size_bytes", s->size_bytes);
    json_member_uint(w, "used_bytes", s->used_bytes);
    json_put_key(w, "requests");
    json_object_open(w);
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        json_member_uint(w, otlp_signal_name((enum otlp_signal)i), s->records[i]);
    json_object_close(w);
    json_put_key(w, "records");
    json_object_open(w);
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        json_member_uint(w, otlp_signal_name((enum otlp_signal)i), s->items[i]);
    json_object_close(w);
    json_member_time(w, "oldest_at", s->oldest_ns);
    json_member_time(w, "newest_at", s->newest_ns);
    json_member_uint(w, "damaged_requests", s->damaged_records);
    json_put_key(w, "header_ok");
    json_put_bool(w, s->header_ok);
    json_object_close(w);
}

static void on_quarantine(void *context, const struct spool_quarantine_info *q)
{
    struct listing *l = context;
    if (!l->json) {
        char received[48];
        if (q->readable)
            printf("quarantine  %s: %" PRIu64 " %s from %s for '%s': %s\n", q->name, q->item_count,
                   otlp_signal_name(q->signal), time_text(q->received_ns, received), q->destination,
                   q->reason);
        else
            printf("quarantine  %s: DAMAGED\n", q->name);
        return;
    }
    struct json_writer *w = &l->entry;
    json_object_open(w);
    json_member_string(w, "name", q->name);
    json_member_bool(w, "readable", q->readable);
    if (q->readable) {
        json_member_uint(w, "from_sequence", q->from_sequence);
        json_member_uint(w, "to_sequence", q->to_sequence);
        json_member_time(w, "received_at", q->received_ns);
        json_member_string(w, "signal", otlp_signal_name(q->signal));
        json_member_uint(w, "records", q->item_count);
        json_member_uint(w, "payload_bytes", q->payload_bytes);
        json_member_string(w, "destination", q->destination);
        json_member_string(w, "reason", q->reason);
    }
    json_object_close(w);
}

static void on_position(void *context, const struct spool_position_info *p)
{
    struct listing *l = context;
    if (!l->json) {
        if (p->readable)
            printf("position    %s: done up to %" PRIu64 "\n", p->name, p->done);
        else
            printf("position    %s: DAMAGED, reads again from the oldest record\n", p->name);
        return;
    }
    json_object_open(&l->position);
    json_member_string(&l->position, "name", p->name);
    json_member_uint(&l->position, "done", p->done);
    json_put_key(&l->position, "readable");
    json_put_bool(&l->position, p->readable);
    json_object_close(&l->position);
}

static void on_loss(void *context, const struct spool_ledger_entry *e)
{
    struct listing *l = context;
    if (!l->json) {
        char from[48], to[48];
        printf("loss        %" PRIu64 " %s %s%s%s, %s to %s\n", e->records,
               otlp_signal_name(e->signal), spool_loss_name(e->reason),
               e->destination[0] ? " for " : "", e->destination, time_text(e->from_ns, from),
               time_text(e->to_ns, to));
        return;
    }
    json_object_open(&l->loss);
    json_member_string(&l->loss, "reason", spool_loss_name(e->reason));
    json_member_string(&l->loss, "destination", e->destination);
    json_member_string(&l->loss, "signal", otlp_signal_name(e->signal));
    json_member_uint(&l->loss, "records", e->records);
    json_member_time(&l->loss, "from", e->from_ns);
    json_member_time(&l->loss, "to", e->to_ns);
    json_object_close(&l->loss);
}

static void listing_init(struct listing *l, bool json)
{
    struct buffer empty = {.max_bytes = LIST_BYTES};
    *l = (struct listing){
        .segments = empty, .quarantine = empty, .positions = empty, .losses = empty, .json = json};
    l->segment = json_writer_make(&l->segments);
    l->entry = json_writer_make(&l->quarantine);
    l->position = json_writer_make(&l->positions);
    l->loss = json_writer_make(&l->losses);
    json_array_open(&l->segment);
    json_array_open(&l->entry);
    json_array_open(&l->position);
    json_array_open(&l->loss);
}

static void listing_clear(struct listing *l)
{
    buffer_clear(&l->segments);
    buffer_clear(&l->quarantine);
    buffer_clear(&l->positions);
    buffer_clear(&l->losses);
}

static void listing_print_json(struct listing *l, const char *dir)
{
    struct buffer head = {.max_bytes = 16 * KIB};
    struct json_writer w = json_writer_make(&head);
    json_array_close(&l->segment);
    json_array_close(&l->entry);
    json_array_close(&l->position);
    json_array_close(&l->loss);
    json_object_open(&w);
    json_member_string(&w, "path", dir);
    json_member_uint(&w, "requests", l->requests);
    json_member_uint(&w, "records", l->records);
    json_member_uint(&w, "damaged", l->damaged);
    json_object_close(&w);
    printf("%.*s,\"segments\":%.*s,\"quarantine\":%.*s,\"positions\":%.*s,\"ledger\":%.*s}\n",
           (int)head.len - 1, (const char *)head.data, (int)l->segments.len,
           (const char *)l->segments.data, (int)l->quarantine.len, (const char *)l->quarantine.data,
           (int)l->positions.len, (const char *)l->positions.data, (int)l->losses.len,
           (const char *)l->losses.data);
    buffer_clear(&head);
}

static int list(const struct command_line *line, const char *dir)
{
    struct listing l;
    struct error err = {0};
    listing_init(&l, line->json);
    struct spool_list visits = {.context = &l,
                                .segment = on_segment,
                                .quarantine = on_quarantine,
                                .position = on_position,
                                .loss = on_loss};
    bool ok = spool_inspect_list(&fs_real, dir, &visits, &err);
    if (ok && line->json)
        listing_print_json(&l, dir);
    else if (ok)
        printf("%s: %" PRIu64 " requests, %" PRIu64 " records\n", dir, l.requests, l.records);
    listing_clear(&l);
    return ok ? EXIT_DONE : command_fail(&err);
}

static int verify(const struct command_line *line, const char *dir)
{
    struct spool_verdict v = {0};
    struct error err = {0};
    if (!spool_inspect_verify(&fs_real, dir, &v, &err))
        return command_fail(&err);
    uint64_t damaged =
        v.damaged_records + v.damaged_headers + v.damaged_quarantine_files + v.damaged_positions;
    if (line->json)
        printf("{\"sound\":%s,\"segments\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"damaged_requests\":%" PRIu64 ",\"damaged_headers\":%" PRIu64
               ",\"quarantine_files\":%" PRIu64 ",\"damaged_quarantine_files\":%" PRIu64
               ",\"damaged_positions\":%" PRIu64 "}\n",
               damaged ? "false" : "true", v.segments, v.records, v.bytes, v.damaged_records,
               v.damaged_headers, v.quarantine_files, v.damaged_quarantine_files,
               v.damaged_positions);
    else
        printf("%s: %" PRIu64 " requests in %" PRIu64 " segments, %" PRIu64
               " quarantined; damaged: %" PRIu64 " requests, %" PRIu64 " headers, %" PRIu64
               " quarantined, %" PRIu64 " positions\n",
               dir, v.records, v.segments, v.quarantine_files, v.damaged_records, v.damaged_headers,
               v.damaged_quarantine_files, v.damaged_positions);
    return damaged ? EXIT_FAILED : EXIT_DONE;
}

static int export(const struct command_line *line, const char *dir)
{
    struct error err = {0};
    uint64_t count = 0;
    const char *into = line->output ? line->output : "spool-export";
    if (!spool_inspect_export(&fs_real, dir, into, &count, &err))
        return command_fail(&err);
    if (line->json)
        printf("{\"exported\":%" PRIu64 "}\n", count);
    else
        printf("%" PRIu64 " requests written to '%s'\n", count, into);
    return EXIT_DONE;
}

static char *spool_dir(const struct command_line *line, const struct config *values)
{
    const char *path = config_text(values, "relay.spool.path");
    if (strcmp(path, "auto") != 0)
        return config_path_under(line->root, path);
    char *state_dir = platform_state_dir(line->root);
    char *dir = xasprintf("%s/spool", state_dir);
    free(state_dir);
    return dir;
}

int command_spool(const struct command_line *line)
{
    struct agent_config *config = command_load_config(line);
    if (!config)
        return EXIT_USAGE;
    char *dir = spool_dir(line, config->values);
    int code = strcmp(line->action, "list") == 0     ? list(line, dir)
               : strcmp(line->action, "verify") == 0 ? verify(line, dir)
                                                     : export(line, dir);
    free(dir);
    agent_config_destroy(config);
    return code;
}
