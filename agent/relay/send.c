/* One batch becomes one HTTP request. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/destination_internal.h"
#include "base/memory.h"
#include "core/http/client.h"
#include "core/log/log.h"
#include "core/otlp/answer.h"

enum { FIXED_HEADERS = 6, ID_LINE_BYTES = 80, GZIP_LEVEL = 1 };

static void answered(void *context, const struct http_result *result)
{
    struct sending *s = context;
    struct destination *d = s->destination;
    struct sending **at = &d->sending;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    d->sending_count--;

    outcome_of(d, s, result);
    buffer_clear(&s->packed);
    free(s);
    destination_pump(d);
    d->context->progressed(d->context->owner);
}

static struct bytes body_to_send(struct destination *d, struct sending *s)
{
    struct bytes plain = buffer_bytes(&s->batch->body);
    if (plain.len == 0 || plain.len > d->gzip_limit)
        return plain;
    s->packed.max_bytes = plain.len + plain.len / 8 + KIB;
    if (!http_gzip(plain, GZIP_LEVEL, &s->packed)) {
        buffer_clear(&s->packed);
        return plain;
    }
    return buffer_bytes(&s->packed);
}

bool send_batch(struct destination *d, struct batch *batch, uint64_t now_ms)
{
    struct error err = {0};
    const struct person_values *values = people_values(&d->people, batch->person, &err);
    if (!values) {
        d->waiting_person = batch->person;
        if (batch->is_probe_only)
            batch_destroy(batch);
        else
            ready_push_front(d, batch);
        destination_fail(d, RELAY_AUTH_FAILED, err.cause, now_ms, 0);
        return false;
    }

    struct sending *s = xcalloc(1, sizeof *s);
    s->destination = d;
    s->batch = batch;
    s->serial = ++d->serial;
    s->started_ms = now_ms;
    batch->sent_as_probe = d->status != RELAY_OK;
    batch->has_ids = d->options.is_own_server && !batch->is_piece && !batch->is_probe_only;
    struct bytes body = body_to_send(d, s);

    const char **headers = xcalloc(values->header_count + FIXED_HEADERS + 1, sizeof *headers);
    char stream[ID_LINE_BYTES], first[ID_LINE_BYTES], last[ID_LINE_BYTES];
    size_t count = 0;
    headers[count++] = "Content-Type: " OTLP_PROTOBUF_TYPE;
    headers[count++] = "User-Agent: claude-telemetry-relay";
    if (s->packed.len > 0)
        headers[count++] = "Content-Encoding: gzip";
    if (batch->has_ids) {
        snprintf(stream, sizeof stream, "X-Batch-Stream: %s", spool_stream_id(d->context->spool));
        snprintf(first, sizeof first, "X-Batch-First: %" PRIu64, batch_first(batch));
        snprintf(last, sizeof last, "X-Batch-Last: %" PRIu64, batch_last(batch));
        headers[count++] = stream;
        headers[count++] = first;
        headers[count++] = last;
    }
    for (size_t i = 0; i < values->header_count; i++)
        headers[count++] = values->headers[i];

    struct http_call call = {
        .method = "POST",
        .url = d->options.url[batch->signal],
        .headers = headers,
        .body = body,
        .ca_file = d->options.ca_file,
        .proxy = d->options.proxy,
        .timeout_ms = d->options.timeout_ms,
    };
    s->next = d->sending;
    d->sending = s;
    d->sending_count++;
    s->transfer = http_client_start(d->context->client, &call, answered, s);
    free((void *)headers);

    pthread_mutex_lock(&d->lock);
    d->shown.requests_total++;
    d->shown.bytes_sent_total += body.len;
    pthread_mutex_unlock(&d->lock);
    return true;
}
