/*
 * The rows that the stores are measured with, and what such a program needs besides: about 1 KB
 * each, of 200 people in 2000 sessions with 4 models; a quarter are model requests and an eighth
 * tool uses, which can be joined and are looked up for it. Included by one program's only file.
 */
#ifndef BENCH_STORE_ROWS_H
#define BENCH_STORE_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "server/store/messages.h"

#define START_NS UINT64_C(1792454400000000000)

static struct arena arena = {.max_bytes = 2048 * MIB};
static struct error err;

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, err.cause);
        exit(1);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct bytes text(const char *form, unsigned number)
{
    char buffer[1200];
    struct bytes copy = {0};
    snprintf(buffer, sizeof buffer, form, number, number, number);
    must(arena_copy(&arena, bytes_of(buffer), &copy), "text");
    return copy;
}

static void make_row(struct message *m, unsigned i, uint64_t step_ns)
{
    static const enum message_type TYPES[] = {MESSAGE_GENERATION, MESSAGE_TOOL,
                                              MESSAGE_EVENT,      MESSAGE_EVENT,
                                              MESSAGE_DECISION,   MESSAGE_RESPONSE,
                                              MESSAGE_GENERATION, MESSAGE_EVENT};
    uint64_t hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    unsigned session = (unsigned)(hash >> 40) % 2000;
    *m = (struct message){
        .type = TYPES[i % 8],
        .sources = MESSAGE_FROM_EVENT,
        .time_ns = START_NS + i * step_ns,
        .received_ns = START_NS,
        .service_name = bytes_of("claude-code"),
        .model = text("claude-model-%u", i % 4),
        .person = text("person%u@example.com", session % 200),
        .person_rank = PERSON_BY_STAMP,
        .session_id = text("a88fa626-df4f-4562-870d-%012u", session),
        .prompt_id = text("72fec847-faf0-493b-a23e-%012u", i / 20),
        .name = text("event_%u", i % 8),
        .input_tokens = i % 500,
        .output_tokens = i % 90,
        .cache_read_tokens = i % 9000,
        .cache_create_tokens = i % 100,
        .cost_microcents = i % 20000,
        .cost_computed_microcents = MESSAGE_ABSENT,
        .duration_ms = i % 3000,
        .success = MESSAGE_SUCCEEDED,
        .metadata =
            text("{\"event.name\":\"api_request\",\"event.sequence\":%u,\"os.type\":\"linux\","
                 "\"user.id\":\"6afe50a041ad86b7bf94267fd9a0a061de9af12f86ab285c122072519bdb61"
                 "c3\",\"n\":%u,\"m\":%u,\"host.arch\":\"amd64\",\"otel.scope.name\":"
                 "\"com.anthropic.claude_code.events\",\"terminal.type\":\"xterm-256color\","
                 "\"query_source\":\"sdk\",\"speed\":\"normal\",\"effort\":\"medium\","
                 "\"os.version\":\"6.1.0-28-amd64\",\"service.version\":\"2.1.329\","
                 "\"event.timestamp\":\"2026-11-20T23:14:30.612Z\"}",
                 i),
    };
    if (m->type == MESSAGE_GENERATION || m->type == MESSAGE_TOOL)
        m->join_hash = hash;
    message_note_event(m);
    for (int b = 0; b < 6; b++)
        m->key[b] = (uint8_t)(m->time_ns / 1000000 >> (40 - 8 * b));
    for (int b = 0; b < 8; b++)
        m->key[6 + b] = (uint8_t)(hash >> (56 - 8 * b));
}

#endif
