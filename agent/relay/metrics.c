/* The relay's state as Prometheus text (exposition format 0.0.4). */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "agent/relay/relay.h"

/* Label values are names of ours and of configured destinations ([a-z0-9_-]): nothing to escape. */
static bool put_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    return buffer_append_format(out,
                                "# HELP claude_telemetry_%s %s\n# TYPE claude_telemetry_%s %s\n",
                                name, help, name, type);
}

static bool put_plain(struct buffer *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    return put_head(out, name, type, help) &&
           buffer_append_format(out, "claude_telemetry_%s %" PRIu64 "\n", name, value);
}

static bool put_labelled(struct buffer *out, const char *name, const char *label,
                         const char *label_value, uint64_t value)
{
    return buffer_append_format(out, "claude_telemetry_%s{%s=\"%s\"} %" PRIu64 "\n", name, label,
                                label_value, value);
}

static bool put_receiver(const struct relay_state *s, struct buffer *out)
{
    bool ok = put_head(out, "received_requests_total", "counter", "OTLP requests taken.");
    for (int i = 0; ok && i < OTLP_SIGNAL_COUNT; i++)
        ok = put_labelled(out, "received_requests_total", "signal",
                          otlp_signal_name((enum otlp_signal)i), s->signals[i].requests_total);
    ok = ok && put_head(out, "received_records_total", "counter",
                        "Log records, data points and spans taken since the spool was made.");
    for (int i = 0; ok && i < OTLP_SIGNAL_COUNT; i++)
        ok = put_labelled(out, "received_records_total", "signal",
                          otlp_signal_name((enum otlp_signal)i), s->signals[i].records_total);
    ok = ok && put_head(out, "refused_requests_total", "counter", "OTLP requests not taken.");
    for (int i = 0; ok && i < RELAY_REFUSED_COUNT; i++)
        ok = put_labelled(out, "refused_requests_total", "reason",
                          relay_refusal_name((enum relay_refusal)i), s->refused_total[i]);
    return ok &&
           put_plain(out, "unknown_owner_requests_total", "counter",
                     "Requests whose socket's owner was not found.", s->unknown_owner_total) &&
           put_plain(out, "connections_open", "gauge", "Open client connections.",
                     s->connections_open);
}

static bool put_spool(const struct relay_state *s, struct buffer *out)
{
    const struct spool_state *p = &s->spool;
    return put_plain(out, "spool_requests", "gauge",
                     "Requests kept and not yet delivered everywhere.", p->requests) &&
           put_plain(out, "spool_records", "gauge", "Log records, data points and spans in them.",
                     p->items) &&
           put_plain(out, "spool_bytes", "gauge", "Their bytes.", p->bytes) &&
           put_plain(out, "spool_oldest_timestamp_seconds", "gauge",
                     "When the oldest of them came; 0: none.", p->oldest_ns / NS_PER_S) &&
           put_plain(out, "spool_evicted_records_total", "counter",
                     "Records given up for room or age.", p->evicted_total) &&
           put_plain(out, "spool_quarantined_records_total", "counter",
                     "Records no destination would take, kept on disk.", p->quarantined_total) &&
           put_plain(out, "spool_quarantine_files", "gauge", "Dead letters kept on disk.",
                     p->quarantine_files) &&
           put_plain(out, "spool_quarantine_bytes", "gauge", "Their bytes.", p->quarantine_bytes) &&
           put_plain(out, "spool_disk_free_bytes", "gauge", "Free space on the spool's volume.",
                     p->disk_free_bytes) &&
           put_plain(out, "spool_commits_total", "counter", "Disk syncs for requests.",
                     p->commits_total);
}

struct destination_metric {
    const char *name;
    const char *type;
    const char *help;
    size_t offset; /* of a uint64_t in struct relay_destination_state */
};

#define OFFSET(member) offsetof(struct relay_destination_state, member)
static const struct destination_metric destination_metrics[] = {
    {"destination_backlog_requests", "gauge", "Requests not yet delivered.",
     OFFSET(backlog_requests)},
    {"destination_backlog_records", "gauge", "Log records, data points and spans in them.",
     OFFSET(backlog_records)},
    {"destination_set_aside_requests", "gauge", "Requests set aside to be tried later.",
     OFFSET(set_aside_requests)},
    {"destination_set_aside_records", "gauge", "Log records, data points and spans in them.",
     OFFSET(set_aside_records)},
    {"destination_consecutive_failures", "gauge", "Failures since the last success.",
     OFFSET(consecutive_failures)},
    {"destination_requests_total", "counter", "Requests sent.", OFFSET(requests_total)},
    {"destination_failed_requests_total", "counter", "Requests not answered with success.",
     OFFSET(failed_requests_total)},
    {"destination_sent_bytes_total", "counter", "Body bytes sent, compressed.",
     OFFSET(bytes_sent_total)},
    {"destination_sent_records_total", "counter", "Records taken by the destination.",
     OFFSET(sent_records_total)},
    {"destination_rejected_records_total", "counter", "Records it rejected (partial success).",
     OFFSET(rejected_records_total)},
    {"destination_quarantined_records_total", "counter", "Records it refuses, kept on disk.",
     OFFSET(quarantined_records_total)},
};

static bool put_destinations(const struct relay_state *s, struct buffer *out)
{
    bool ok = true;
    for (size_t m = 0; m < sizeof destination_metrics / sizeof *destination_metrics; m++) {
        const struct destination_metric *metric = &destination_metrics[m];
        ok = ok && put_head(out, metric->name, metric->type, metric->help);
        for (size_t i = 0; ok && i < s->destination_count; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&s->destinations[i] + metric->offset, sizeof value);
            ok = put_labelled(out, metric->name, "destination", s->destinations[i].name, value);
        }
    }
    ok = ok && put_head(out, "destination_last_success_timestamp_seconds", "gauge",
                        "When it last took something; 0: not since the start.");
    for (size_t i = 0; ok && i < s->destination_count; i++)
        ok = put_labelled(out, "destination_last_success_timestamp_seconds", "destination",
                          s->destinations[i].name, s->destinations[i].last_success_ns / NS_PER_S);
    ok = ok && put_head(out, "destination_state", "gauge", "1 for the state it is in.");
    for (size_t i = 0; ok && i < s->destination_count; i++)
        for (int state = RELAY_OK; ok && state <= RELAY_DISABLED; state++)
            ok = buffer_append_format(
                out, "claude_telemetry_destination_state{destination=\"%s\",state=\"%s\"} %d\n",
                s->destinations[i].name, relay_status_name((enum relay_destination_status)state),
                s->destinations[i].status == (enum relay_destination_status)state);
    return ok;
}

/* Why records that were accepted are not delivered: each reason, also those that never happened. */
static bool put_losses(const struct relay_state *s, struct buffer *out)
{
    bool ok = put_head(out, "lost_records_total", "counter",
                       "Records accepted and not delivered, since the spool was made.");
    for (int i = 0; ok && i < SPOOL_LOSS_COUNT; i++)
        ok = put_labelled(out, "lost_records_total", "reason", spool_loss_name((enum spool_loss)i),
                          s->spool.lost_total[i]);
    return ok;
}

/* The ledger's entries are per day and signal: summed here by reason and destination. */
static bool put_ledger(const struct relay_state *s, struct buffer *out)
{
    bool ok = put_head(out, "lost_records", "gauge",
                       "Records accepted and not delivered, in the newest ledger entries.");
    for (size_t i = 0; ok && i < s->ledger_count; i++) {
        const struct spool_ledger_entry *e = &s->ledger[i];
        uint64_t sum = 0;
        bool counted = false;
        for (size_t j = 0; j < s->ledger_count; j++) {
            const struct spool_ledger_entry *o = &s->ledger[j];
            if (o->reason != e->reason || o->signal != e->signal ||
                strcmp(o->destination, e->destination) != 0)
                continue;
            counted = counted || j < i;
            sum += o->records;
        }
        if (!counted)
            ok = buffer_append_format(out,
                                      "claude_telemetry_lost_records{reason=\"%s\",signal=\"%s\","
                                      "destination=\"%s\"} %" PRIu64 "\n",
                                      spool_loss_name(e->reason), otlp_signal_name(e->signal),
                                      e->destination, sum);
    }
    return ok;
}

bool relay_put_metrics(const struct relay_state *state, struct buffer *out)
{
    return put_plain(out, "start_timestamp_seconds", "gauge", "When the relay started.",
                     state->started_ns / NS_PER_S) &&
           put_receiver(state, out) && put_spool(state, out) && put_destinations(state, out) &&
           put_losses(state, out) && put_ledger(state, out);
}
