#include <string.h>

#include "server/store/kinds.h"

static const struct message_store_kind *const MESSAGE_KINDS[] = {
    &sqlite_message_kind,
    &postgres_message_kind,
    &clickhouse_message_kind,
    &clickhouse_tls_message_kind,
};
static const struct control_place *const CONTROL_PLACES[] = {&sqlite_control_place,
                                                             &postgres_control_place};

/* What follows "scheme:" in the URL, or NULL. */
static const char *location_in(const char *url, const char *scheme)
{
    static const char alias[] = "postgresql:"; /* libpq takes either */
    if (strcmp(scheme, "postgres") == 0 && strncmp(url, alias, sizeof alias - 1) == 0)
        return url + sizeof alias - 1;
    size_t len = strlen(scheme);
    return strncmp(url, scheme, len) == 0 && url[len] == ':' ? url + len + 1 : NULL;
}

static void unknown(const char *url, struct error *err)
{
    const char *colon = strchr(url, ':');
    /* What stands behind the scheme may hold a password. */
    error_set(err, FAIL_INVALID, "no store of kind '%.*s'", colon ? (int)(colon - url) : 0, url);
    error_remedy(err, "use sqlite:PATH, postgres://USER@HOST/DATABASE, or for rows"
                      " clickhouse+http://USER@HOST:8123/DATABASE");
}

struct message_store *message_store_open(const char *url, struct error *err)
{
    for (size_t i = 0; i < sizeof MESSAGE_KINDS / sizeof *MESSAGE_KINDS; i++) {
        const char *location = location_in(url, MESSAGE_KINDS[i]->scheme);
        if (location)
            return MESSAGE_KINDS[i]->open(location, err);
    }
    unknown(url, err);
    return NULL;
}

struct control_store *control_store_open(const char *url, struct error *err)
{
    for (size_t i = 0; i < sizeof CONTROL_PLACES / sizeof *CONTROL_PLACES; i++) {
        const char *location = location_in(url, CONTROL_PLACES[i]->scheme);
        if (location)
            return CONTROL_PLACES[i]->open(location, err);
    }
    unknown(url, err);
    return NULL;
}

bool message_store_backup(const char *url, const char *target, struct error *err)
{
    for (size_t i = 0; i < sizeof MESSAGE_KINDS / sizeof *MESSAGE_KINDS; i++) {
        const char *location = location_in(url, MESSAGE_KINDS[i]->scheme);
        if (location)
            return MESSAGE_KINDS[i]->backup(location, target, err);
    }
    unknown(url, err);
    return false;
}

bool control_store_backup(const char *url, const char *target, struct error *err)
{
    for (size_t i = 0; i < sizeof CONTROL_PLACES / sizeof *CONTROL_PLACES; i++) {
        const char *location = location_in(url, CONTROL_PLACES[i]->scheme);
        if (location)
            return CONTROL_PLACES[i]->backup(location, target, err);
    }
    unknown(url, err);
    return false;
}

size_t control_plan_body_bytes(enum control_plan plan)
{
    switch (plan) {
    case PLAN_ENTERPRISE:
        return SIZE_MAX;
    case PLAN_PRO:
        return 256 * KIB;
    case PLAN_FREE:
        break;
    }
    return 16 * KIB;
}

/* ---- Ids: 128 bits in 26 characters, the first of which holds 3 bits ---- */

static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void message_id_of_key(const uint8_t key[MESSAGE_KEY_BYTES], char out[MESSAGE_ID_BYTES])
{
    unsigned bits = 0, held = 2; /* two zero bits in front: 130 in all */
    size_t at = 0;
    for (size_t i = 0; i < MESSAGE_KEY_BYTES; i++) {
        bits = (bits << 8 | key[i]) & 0x1fff;
        for (held += 8; held >= 5; held -= 5)
            out[at++] = ALPHABET[bits >> (held - 5) & 31];
    }
    out[at] = 0;
}

static int digit_of(uint8_t c)
{
    if (c >= 'a' && c <= 'z')
        c = (uint8_t)(c - 'a' + 'A');
    const char *found = c ? strchr(ALPHABET, c) : NULL;
    return found ? (int)(found - ALPHABET) : -1;
}

bool message_key_of_id(struct bytes id, uint8_t key[MESSAGE_KEY_BYTES])
{
    unsigned bits = 0, held = 0;
    size_t at = 0;
    if (id.len != MESSAGE_ID_BYTES - 1 || digit_of(id.data[0]) > 7)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        int digit = digit_of(id.data[i]);
        if (digit < 0)
            return false;
        bits = (bits << 5 | (unsigned)digit) & 0xfff;
        held += i == 0 ? 3 : 5;
        if (held >= 8) {
            held -= 8;
            key[at++] = (uint8_t)(bits >> held);
        }
    }
    return at == MESSAGE_KEY_BYTES;
}
