#include "server/query/people.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "core/json/reader.h"
#include "platform/platform.h"
#include "server/query/usage.h"

enum { KEY_BYTES = 32, MAX_PEOPLE = 100000, TIME_LIMIT_MS = 5000, DAYS = 400 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)
static const struct bytes GENERATION = {(const uint8_t *)"ai.generation", 13};
#define FRESH_NS (UINT64_C(600) * NS_PER_S)

struct member {
    struct bytes person, team; /* in the people's arena */
};

struct people {
    struct message_store *messages;
    const struct clock *clock;
    uint8_t key[KEY_BYTES];

    pthread_mutex_t lock; /* of all below */
    struct arena arena;
    struct member *members; /* sorted by person */
    size_t count, capacity;
    uint64_t read_ns; /* monotonic; 0: never */
};

/* ---- Pseudonyms ---- */

static bool load_key(struct people *people, struct control_store *control, struct error *err)
{
    struct buffer value = {.max_bytes = KIB};
    bool known = control->kind->value_get(control, "pseudonym_key", &value, err);
    if (known && value.len == KEY_BYTES)
        memcpy(people->key, value.data, KEY_BYTES);
    else if (known)
        known = error_set(err, FAIL_CORRUPT, "'pseudonym_key' in the control store is no key");
    buffer_clear(&value);
    if (known || err->kind != FAIL_NOT_FOUND)
        return known;
    platform_random(people->key, KEY_BYTES);
    return control->kind->value_put(control, "pseudonym_key", bytes_make(people->key, KEY_BYTES),
                                    err);
}

/* "person 4f1c20a9b3": the same for the same text, and no way back without the key. */
static bool put_pseudonym(const struct people *people, const char *what, struct bytes text,
                          struct buffer *out)
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * 5 + 1];
    crypto_hmac_sha256(bytes_make(people->key, KEY_BYTES), text, digest);
    crypto_hex(bytes_make(digest, 5), hex);
    return buffer_append_format(out, "%s %s", what, hex);
}

static struct bytes kept(struct buffer *text, bool fits, struct arena *arena)
{
    struct bytes out = {0};
    bool done = fits && arena_copy(arena, buffer_bytes(text), &out);
    buffer_clear(text);
    return done ? out : bytes_of("somebody");
}

struct bytes people_name(const struct people *people, struct bytes person, enum privacy privacy,
                         struct arena *arena)
{
    struct buffer name = {.max_bytes = 64};
    if (privacy == PRIVACY_NAMED || person.len == 0)
        return person;
    if (!privacy_has_people(privacy))
        return bytes_of("somebody");
    return kept(&name, put_pseudonym(people, "person", person, &name), arena);
}

struct masking {
    const struct people *people;
    enum privacy privacy;
};

static bool replace_address(void *context, struct bytes address, struct buffer *out)
{
    const struct masking *m = context;
    return privacy_has_people(m->privacy) ? put_pseudonym(m->people, "person", address, out)
                                          : buffer_append_text(out, "somebody");
}

struct bytes people_value(const struct people *people, const struct field_use *field,
                          struct bytes value, enum privacy privacy, struct arena *arena)
{
    struct masking masking = {people, privacy};
    struct buffer text = {.max_bytes = 2 * value.len + 64 * KIB};
    if (privacy == PRIVACY_NAMED || value.len == 0)
        return value;
    if (field->field == FIELD_PERSON)
        return people_name(people, value, privacy, arena);
    if (privacy_has_address(value))
        return kept(&text, privacy_mask(value, replace_address, &masking, &text), arena);
    if (field_is_impersonal(field))
        return value;
    if (!privacy_has_people(privacy))
        return bytes_of("somebody");
    return kept(&text, put_pseudonym(people, "value", value, &text), arena);
}

/* ---- Teams ---- */

static int by_person(const void *a, const void *b)
{
    return usage_compare_texts(((const struct member *)a)->person,
                               ((const struct member *)b)->person);
}

static bool take_person(void *context, const struct aggregate_row *row)
{
    struct people *people = context;
    if (row->groups[0].len == 0)
        return true;
    if (people->count == people->capacity) {
        people->capacity = people->capacity ? 2 * people->capacity : 256;
        people->members = xrealloc(people->members, people->capacity * sizeof *people->members);
    }
    struct member *member = &people->members[people->count];
    *member = (struct member){0};
    people->count += arena_copy(&people->arena, row->groups[0], &member->person);
    return people->count < MAX_PEOPLE;
}

/* Of the keys by which a team is told, the first there is; a JSON string's inside, or empty. */
static struct bytes team_in(struct bytes metadata)
{
    static const char *const keys[] = {"team", "team.name", "team.id", "department"};
    struct json_reader r = json_reader_make(metadata);
    size_t best = sizeof keys / sizeof *keys;
    struct bytes team = {0};
    if (json_next(&r) != JSON_OBJECT_OPEN)
        return team;
    while (json_next(&r) == JSON_KEY) {
        size_t i = 0;
        while (i < best && !json_string_equals(r.span, keys[i]))
            i++;
        if (i == best) {
            if (!json_skip_value(&r))
                break;
        } else if (json_next(&r) == JSON_STRING) {
            team = r.span;
            best = i;
        }
    }
    return team;
}

/* A name too long to be a team's is none. */
static bool take_team(void *context, const struct stored_message *row)
{
    struct buffer *team = context;
    if (!json_string_decode(team_in(row->message.metadata), team))
        buffer_reset(team);
    return false;
}

static bool read_team(struct people *people, struct member *member, struct error *err)
{
    /* Of requests: the agent's own reports, which are newer, name no team. */
    const struct message_filter filters[] = {
        {.field = FIELD_PERSON, .values = &member->person, .value_count = 1},
        {.field = FIELD_TYPE, .values = &GENERATION, .value_count = 1}};
    const struct message_query where = {.filters = filters,
                                        .filter_count = 2,
                                        .time_limit_ms = TIME_LIMIT_MS};
    const struct message_page page = {.take = 1};
    struct buffer team = {.max_bytes = 256};
    bool done =
        people->messages->kind->find(people->messages, &where, &page, take_team, &team, err);
    if (done && team.len > 0)
        done = arena_copy(&people->arena, buffer_bytes(&team), &member->team) ||
               error_set(err, FAIL_TOO_LARGE, "there are too many teams");
    buffer_clear(&team);
    return done;
}

static bool read_all(struct people *people, struct error *err)
{
    uint64_t now_ns = clock_wall_ns(people->clock);
    const struct aggregate_group group = {.field = FIELD_PERSON};
    const struct aggregate_metric metric = {.function = AGGREGATE_COUNT};
    const struct message_filter filter = {.field = FIELD_TYPE,
                                          .values = &GENERATION,
                                          .value_count = 1};
    const struct aggregate_query query = {
        .where = {.filters = &filter,
                  .filter_count = 1,
                  .from_ns = (now_ns / DAY_NS - DAYS) * DAY_NS,
                  .time_limit_ms = TIME_LIMIT_MS},
        .groups = &group,
        .group_count = 1,
        .metrics = &metric,
        .metric_count = 1,
    };
    people->count = 0;
    arena_reset(&people->arena);
    if (!people->messages->kind->aggregate(people->messages, &query, take_person, people, err))
        return false;
    for (size_t i = 0; i < people->count; i++)
        if (!read_team(people, &people->members[i], err))
            return false;
    if (people->count > 0)
        qsort(people->members, people->count, sizeof *people->members, by_person);
    return true;
}

bool people_refresh(struct people *people, struct error *err)
{
    uint64_t now_ns = clock_monotonic_ns(people->clock);
    pthread_mutex_lock(&people->lock);
    bool done = people->read_ns != 0 && now_ns - people->read_ns < FRESH_NS;
    if (!done) {
        done = read_all(people, err);
        people->read_ns = done ? now_ns : 0;
        if (!done)
            people->count = 0;
    }
    pthread_mutex_unlock(&people->lock);
    return done;
}

struct bytes people_team(struct people *people, struct bytes person, struct arena *arena)
{
    struct bytes out = {0};
    const struct member key = {.person = person};
    pthread_mutex_lock(&people->lock);
    const struct member *found =
        people->count > 0 ? bsearch(&key, people->members, people->count, sizeof key, by_person)
                          : NULL;
    if (found && !arena_copy(arena, found->team, &out))
        out = (struct bytes){0};
    pthread_mutex_unlock(&people->lock);
    return out;
}

bool people_of_team(struct people *people, struct bytes team, struct arena *arena,
                    struct bytes **out, size_t *count)
{
    pthread_mutex_lock(&people->lock);
    *count = 0;
    *out = arena_alloc_many(arena, people->count + 1, sizeof **out);
    bool fits = *out != NULL;
    for (size_t i = 0; i < people->count && fits; i++)
        if (bytes_equal(people->members[i].team, team))
            fits = arena_copy(arena, people->members[i].person, &(*out)[(*count)++]);
    pthread_mutex_unlock(&people->lock);
    return fits;
}

static int by_text(const void *a, const void *b)
{
    return usage_compare_texts(*(const struct bytes *)a, *(const struct bytes *)b);
}

bool people_teams(struct people *people, struct arena *arena, struct bytes **out, size_t *count)
{
    pthread_mutex_lock(&people->lock);
    *count = 0;
    struct bytes *all = arena_alloc_many(arena, people->count + 1, sizeof *all);
    bool fits = all != NULL;
    size_t found = 0;
    for (size_t i = 0; i < people->count && fits; i++)
        if (people->members[i].team.len > 0)
            fits = arena_copy(arena, people->members[i].team, &all[found++]);
    pthread_mutex_unlock(&people->lock);
    if (!fits)
        return false;
    if (found > 0)
        qsort(all, found, sizeof *all, by_text);
    for (size_t i = 0; i < found; i++)
        if (*count == 0 || usage_compare_texts(all[*count - 1], all[i]) != 0)
            all[(*count)++] = all[i];
    *out = all;
    return true;
}

/* ---- Lifetime ---- */

struct people *people_create(struct message_store *messages, struct control_store *control,
                             const struct clock *clock, struct error *err)
{
    struct people *people = xcalloc(1, sizeof *people);
    people->messages = messages;
    people->clock = clock;
    people->arena.max_bytes = 32 * MIB;
    pthread_mutex_init(&people->lock, NULL);
    if (load_key(people, control, err))
        return people;
    people_destroy(people);
    return NULL;
}

void people_destroy(struct people *people)
{
    if (!people)
        return;
    pthread_mutex_destroy(&people->lock);
    arena_clear(&people->arena);
    free(people->members);
    free(people);
}
