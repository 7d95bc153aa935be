#include "tests/server/sample_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t sample_random(struct sample_rows *s, uint32_t below)
{
    s->random = s->random * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(s->random >> 4) * below) >> 28);
}

struct message sample_row(uint64_t number, enum message_type type, uint64_t time_ns)
{
    struct message m = {
        .type = type,
        .sources = MESSAGE_FROM_EVENT,
        .time_ns = time_ns,
        .received_ns = time_ns + 1000,
        .input_tokens = MESSAGE_ABSENT,
        .output_tokens = MESSAGE_ABSENT,
        .cache_read_tokens = MESSAGE_ABSENT,
        .cache_create_tokens = MESSAGE_ABSENT,
        .cost_microcents = MESSAGE_ABSENT,
        .cost_computed_microcents = MESSAGE_ABSENT,
        .duration_ms = MESSAGE_ABSENT,
        .success = MESSAGE_SUCCESS_UNKNOWN,
        .session_id = bytes_of("session"),
        .metadata = bytes_of("{}"),
    };
    for (int i = 0; i < 6; i++)
        m.key[i] = (uint8_t)(time_ns / 1000000 >> (40 - 8 * i));
    for (int i = 0; i < 8; i++)
        m.key[8 + i] = (uint8_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> (56 - 8 * i));
    message_note_event(&m);
    return m;
}

static struct bytes pick(struct sample_rows *s, const char *const *texts, uint32_t count)
{
    return bytes_of(texts[sample_random(s, count)]);
}

static int64_t maybe(struct sample_rows *s, uint32_t below)
{
    return sample_random(s, 5) == 0 ? MESSAGE_ABSENT : (int64_t)sample_random(s, below);
}

static struct bytes metadata(struct sample_rows *s)
{
    static const char *const TEAMS[] = {"", "\"team\":\"red\",", "\"team\":\"blue\",",
                                        "\"team\":\"a \\\"quoted\\\" one\","};
    static const char *const FLAGS[] = {"true", "false", "null", "[1,2]"};
    char text[256];
    uint32_t number = sample_random(s, 1000);
    snprintf(text, sizeof text, "{%s\"size\":%s%u%s,\"flag\":%s}", TEAMS[sample_random(s, 4)],
             number % 2 ? "\"" : "", number, number % 2 ? "\"" : ".5", FLAGS[number % 4]);
    struct bytes copy = {0};
    if (!arena_copy(&s->arena, bytes_of(text), &copy))
        abort();
    return copy;
}

void sample_rows_init(struct sample_rows *s, uint32_t seed, size_t count)
{
    static const char *const MODELS[] = {"", "opus", "sonnet", "haiku"};
    static const char *const PEOPLE[] = {"", "a@x.org", "b@x.org", "c@x.org", "d@x.org"};
    static const char *const SESSIONS[] = {"s1", "s2", "s3"};
    static const char *const TOOLS[] = {"", "Bash", "Edit"};
    static const char *const SERVICES[] = {"claude-code", "codex"};
    static const enum message_type TYPES[] = {MESSAGE_GENERATION, MESSAGE_GENERATION, MESSAGE_TOOL,
                                              MESSAGE_PROMPT, MESSAGE_LOG};
    *s = (struct sample_rows){.arena = {.max_bytes = 64 * MIB}, .count = count, .random = seed};
    s->rows = arena_alloc_many(&s->arena, count, sizeof *s->rows);
    for (size_t i = 0; i < count; i++) {
        uint64_t time_ns = SAMPLE_FROM_NS + sample_random(s, 20 * 86400) * UINT64_C(1000000000) +
                           sample_random(s, 1000) * UINT64_C(1000000);
        struct message *m = &s->rows[i];
        *m = sample_row(i + seed * UINT64_C(1000003), TYPES[sample_random(s, 5)], time_ns);
        m->model = pick(s, MODELS, 4);
        m->person = pick(s, PEOPLE, 5);
        m->person_rank = m->person.len ? PERSON_BY_NAME : PERSON_UNKNOWN;
        m->session_id = pick(s, SESSIONS, 3);
        m->prompt_id = pick(s, SESSIONS, 3);
        m->tool_name = pick(s, TOOLS, 3);
        m->service_name = pick(s, SERVICES, 2);
        m->input_tokens = maybe(s, 100000);
        m->output_tokens = maybe(s, 5000);
        m->cache_read_tokens = maybe(s, 100000);
        m->cache_create_tokens = maybe(s, 10000);
        m->cost_microcents = maybe(s, 2000000);
        m->duration_ms = maybe(s, 60000);
        m->success = (enum message_success)((int)sample_random(s, 3) - 1);
        m->trace_id[15] = (uint8_t)sample_random(s, 3);
        m->span_id[7] = (uint8_t)sample_random(s, 200);
        m->metadata = metadata(s);
    }
}

void sample_rows_clear(struct sample_rows *s)
{
    arena_clear(&s->arena);
}
