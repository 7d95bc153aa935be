#include "agent/relay/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/crc32c.h"
#include "base/memory.h"

static const char file_magic[8] = {'C', 'T', 'S', 'P', 'O', 'O', 'L', '\n'};
static const uint8_t record_magic[4] = {0xC7, 'R', 'E', 'C'};

enum { PAGE_BYTES = 4096, PATIENCE = 3 };

/* Far beyond what is ever reached; sums with it do not overflow. */
#define SEQUENCE_MAX ((uint64_t)1 << 62)

static void put_32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static void put_64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static uint64_t get_64(const uint8_t *from)
{
    return get_32(from) | (uint64_t)get_32(from + 4) << 32;
}

void segment_name(uint64_t first_sequence, uint32_t salt, char out[SEGMENT_NAME_BYTES])
{
    snprintf(out, SEGMENT_NAME_BYTES, "%016" PRIx64 "-%08" PRIx32 ".seg", first_sequence, salt);
}

bool segment_name_parse(const char *name, uint64_t *first_sequence, uint32_t *salt)
{
    char again[SEGMENT_NAME_BYTES];
    if (sscanf(name, "%16" SCNx64 "-%8" SCNx32 ".seg", first_sequence, salt) != 2)
        return false;
    segment_name(*first_sequence, *salt, again);
    return strcmp(name, again) == 0 && *first_sequence > 0 && *first_sequence <= SEQUENCE_MAX;
}

void segment_header_encode(const struct segment_header *h, uint8_t out[SEGMENT_HEADER_BYTES])
{
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, file_magic, sizeof file_magic);
    put_32(out + 8, SEGMENT_VERSION);
    put_32(out + 12, h->salt);
    put_64(out + 16, h->first_sequence);
    put_64(out + 24, h->created_ns);
    put_64(out + 32, h->previous_last);
    put_64(out + 40, h->previous_end);
    put_64(out + 48, h->records_before);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        put_64(out + 56 + 8 * s, h->items_before[s]);
    memcpy(out + 80, h->stream, SEGMENT_STREAM_BYTES);
    put_64(out + 116, h->previous_first);
    put_32(out + 132, crc32c(0, out, 132));
}

bool segment_header_decode(const uint8_t *from, size_t len, struct segment_header *out, bool *newer)
{
    *newer = false;
    memset(out, 0, sizeof *out);
    if (len < SEGMENT_HEADER_BYTES || memcmp(from, file_magic, sizeof file_magic) != 0 ||
        get_32(from + 132) != crc32c(0, from, 132))
        return false;
    if (get_32(from + 8) != SEGMENT_VERSION) {
        *newer = true;
        return false;
    }
    out->salt = get_32(from + 12);
    out->first_sequence = get_64(from + 16);
    out->created_ns = get_64(from + 24);
    out->previous_last = get_64(from + 32);
    out->previous_end = get_64(from + 40);
    out->records_before = get_64(from + 48);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        out->items_before[s] = get_64(from + 56 + 8 * s);
    memcpy(out->stream, from + 80, SEGMENT_STREAM_BYTES);
    out->previous_first = get_64(from + 116);
    return true;
}

void segment_record_encode(const struct segment_record *r, uint32_t salt,
                           uint8_t out[SEGMENT_RECORD_BYTES])
{
    memcpy(out, record_magic, sizeof record_magic);
    put_64(out + 8, r->sequence);
    put_64(out + 16, r->received_ns);
    put_64(out + 24, r->durable);
    put_32(out + 32, r->payload_len);
    put_32(out + 36, r->body_crc);
    put_32(out + 40, r->item_count);
    out[44] = (uint8_t)r->user_len;
    out[45] = (uint8_t)(r->user_len >> 8);
    out[46] = r->signal;
    out[47] = 0;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        put_32(out + 48 + 4 * s, r->items_before[s]);
    put_32(out + 60, 0);
    put_32(out + 4, crc32c(salt, out + 8, SEGMENT_RECORD_BYTES - 8));
}

bool segment_record_decode(const uint8_t from[SEGMENT_RECORD_BYTES], uint32_t salt,
                           struct segment_record *out)
{
    if (memcmp(from, record_magic, sizeof record_magic) != 0 ||
        get_32(from + 4) != crc32c(salt, from + 8, SEGMENT_RECORD_BYTES - 8))
        return false;
    *out = (struct segment_record){
        .sequence = get_64(from + 8),
        .received_ns = get_64(from + 16),
        .durable = get_64(from + 24),
        .payload_len = get_32(from + 32),
        .body_crc = get_32(from + 36),
        .item_count = get_32(from + 40),
        .user_len = (uint16_t)(from[44] | from[45] << 8),
        .signal = from[46],
    };
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        out->items_before[s] = get_32(from + 48 + 4 * s);
    return out->sequence <= SEQUENCE_MAX && out->signal < OTLP_SIGNAL_COUNT &&
           out->user_len <= SPOOL_USER_BYTES && out->payload_len <= SEGMENT_PAYLOAD_MAX;
}

uint32_t segment_body_crc(uint32_t salt, struct bytes user, struct bytes payload)
{
    return crc32c(crc32c(salt, user.data, user.len), payload.data, payload.len);
}

void segment_walk_begin(struct segment_walk *w, uint64_t first_sequence)
{
    w->offset = SEGMENT_HEADER_BYTES;
    w->first_sequence = w->next_sequence = first_sequence;
    memset(w->items, 0, sizeof w->items);
    w->window_len = 0;
    w->failures = 0;
}

void segment_walk_clear(struct segment_walk *w)
{
    free(w->window);
    w->window = NULL;
    w->window_len = 0;
}

/*
 * Reads page by page; what the disk refuses reads as zero and so fails its
 * checksum. False when it answers nothing at all: then it is the disk, and
 * not a page, that is gone, and the records may come back.
 */
static bool read_what_can_be_read(struct segment_walk *w, uint64_t offset, uint8_t *into,
                                  size_t len)
{
    uint8_t probe;
    size_t ignored_len;
    struct error ignored;
    bool answers = w->fs->read_at(w->fs->disk, w->file, 0, &probe, 1, &ignored_len, &ignored);
    memset(into, 0, len);
    for (size_t at = 0; at < len;) {
        size_t step = PAGE_BYTES - (size_t)((offset + at) % PAGE_BYTES);
        if (step > len - at)
            step = len - at;
        size_t got;
        if (w->fs->read_at(w->fs->disk, w->file, offset + at, into + at, step, &got, &ignored))
            answers = true;
        else
            memset(into + at, 0, step);
        at += step;
    }
    return answers;
}

static bool read_patiently(struct segment_walk *w, uint64_t offset, uint8_t *into, size_t len,
                           size_t *got, struct error *err)
{
    if (w->fs->read_at(w->fs->disk, w->file, offset, into, len, got, err))
        return true;
    if (++w->failures < PATIENCE || !read_what_can_be_read(w, offset, into, len))
        return false;
    *got = len;
    return true;
}

/* Brings [offset, offset + need) into the window, more when there is. *have < need at the limit. */
static bool look_at(struct segment_walk *w, uint64_t offset, size_t need, const uint8_t **at,
                    size_t *have, struct error *err)
{
    if (offset < w->window_offset || offset + need > w->window_offset + w->window_len) {
        size_t want = SEGMENT_WINDOW_BYTES;
        if (offset >= w->limit)
            want = 0;
        else if (w->limit - offset < want)
            want = (size_t)(w->limit - offset);
        if (!w->window)
            w->window = xmalloc(SEGMENT_WINDOW_BYTES);
        w->window_len = 0;
        size_t got = 0;
        if (want > 0 && !read_patiently(w, offset, w->window, want, &got, err))
            return false;
        w->window_offset = offset;
        w->window_len = got;
    }
    *at = w->window + (offset - w->window_offset);
    *have = (size_t)(w->window_offset + w->window_len - offset);
    return true;
}

/* Numbers run without gaps in a segment, so a record's place bounds its number. */
static bool counts(const struct segment_walk *w, uint64_t offset, const struct segment_record *r)
{
    uint64_t before = (offset - SEGMENT_HEADER_BYTES) / SEGMENT_RECORD_BYTES;
    return r->sequence >= w->next_sequence && r->sequence <= w->last_sequence &&
           r->sequence - w->first_sequence <= before && segment_record_size(r) <= w->limit - offset;
}

/* Finds the next record header at or behind `from`; *found false when there is none. */
static bool find_header(struct segment_walk *w, uint64_t from, uint64_t *offset,
                        struct segment_record *record, bool *found, struct error *err)
{
    *found = false;
    for (uint64_t at = from; at < w->limit;) {
        const uint8_t *bytes;
        size_t have;
        if (!look_at(w, at, SEGMENT_RECORD_BYTES, &bytes, &have, err))
            return false;
        if (have < SEGMENT_RECORD_BYTES)
            return true;
        size_t starts = have - SEGMENT_RECORD_BYTES + 1;
        const uint8_t *hit = memchr(bytes, record_magic[0], starts);
        if (!hit) {
            at += starts;
            continue;
        }
        at += (size_t)(hit - bytes);
        if (segment_record_decode(hit, w->salt, record) && counts(w, at, record)) {
            *offset = at;
            *found = true;
            return true;
        }
        at++;
    }
    return true;
}

/* Checks the body of `r`, and puts it in `hold` when there is one. */
static bool read_body(struct segment_walk *w, const struct segment_record *r, struct buffer *hold,
                      bool *intact, struct error *err)
{
    uint64_t at = w->offset + SEGMENT_RECORD_BYTES;
    size_t left = (size_t)r->user_len + r->payload_len;
    if (hold) {
        buffer_reset(hold);
        if (!buffer_reserve(hold, left))
            return error_set(err, FAIL_TOO_LARGE,
                             "record %" PRIu64 " of %zu bytes is larger than the reader takes",
                             r->sequence, left);
    }
    uint32_t crc = w->salt;
    if (hold && left > SEGMENT_WINDOW_BYTES / 2) { /* straight to its place */
        size_t got;
        if (!read_patiently(w, at, hold->data, left, &got, err))
            return false;
        *intact = got == left && crc32c(crc, hold->data, left) == r->body_crc;
        hold->len = got;
        return true;
    }
    while (left > 0) {
        const uint8_t *bytes;
        size_t have, need = left < SEGMENT_WINDOW_BYTES ? left : 1;
        if (!look_at(w, at, need, &bytes, &have, err))
            return false;
        if (have == 0)
            break;
        size_t step = have < left ? have : left;
        crc = crc32c(crc, bytes, step);
        if (hold && !buffer_append(hold, bytes_make(bytes, step)))
            return error_set(err, FAIL_TOO_LARGE, "no room for record %" PRIu64, r->sequence);
        at += step;
        left -= step;
    }
    *intact = left == 0 && crc == r->body_crc;
    return true;
}

/* Says what [w->next_sequence, to] held, and moves behind it. */
static void pass_damage(struct segment_walk *w, uint64_t to, uint64_t end, const uint64_t *items,
                        struct segment_step *step)
{
    step->kind = SEGMENT_STEP_DAMAGE;
    step->offset = w->offset;
    step->end = end;
    step->from_sequence = w->next_sequence;
    step->to_sequence = to;
    step->items_exact = items != NULL;
    memset(step->items, 0, sizeof step->items);
    if (!items)
        step->items[OTLP_LOGS] = to - w->next_sequence + 1;
    for (int s = 0; items && s < OTLP_SIGNAL_COUNT; s++) {
        step->items[s] = items[s] > w->items[s] ? items[s] - w->items[s] : 0;
        w->items[s] = items[s];
    }
    w->offset = end;
    w->next_sequence = to + 1;
}

static void take_record(struct segment_walk *w, const struct segment_record *r,
                        struct segment_step *step)
{
    step->kind = SEGMENT_STEP_RECORD;
    step->record = *r;
    step->offset = w->offset;
    step->end = w->offset + segment_record_size(r);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        w->items[s] = r->items_before[s];
    w->items[r->signal] += r->item_count;
    w->offset = step->end;
    w->next_sequence = r->sequence + 1;
}

static void pass_record(struct segment_walk *w, const struct segment_record *r,
                        struct segment_step *step)
{
    uint64_t items[OTLP_SIGNAL_COUNT];
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        items[s] = r->items_before[s];
    items[r->signal] += r->item_count;
    pass_damage(w, r->sequence, w->offset + segment_record_size(r), items, step);
}

/* No record stands at the walk's place: finds the next one, or the end. */
static bool resynchronise(struct segment_walk *w, struct segment_step *step, struct error *err)
{
    struct segment_record next;
    uint64_t offset = 0;
    bool found;
    if (!find_header(w, w->offset, &offset, &next, &found, err))
        return false;
    if (!found) {
        step->kind = SEGMENT_STEP_END;
        if (w->last_sequence != UINT64_MAX)
            pass_damage(w, w->last_sequence, w->limit > w->offset ? w->limit : w->offset,
                        w->items_known ? w->items_total : NULL, step);
        return true;
    }
    uint64_t items[OTLP_SIGNAL_COUNT];
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        items[s] = next.items_before[s];
    if (next.sequence > w->next_sequence)
        pass_damage(w, next.sequence - 1, offset, items, step);
    else
        w->offset = offset; /* only bytes were lost, no record */
    return true;
}

void segment_walk_next(struct segment_walk *w, enum segment_verify verify, struct buffer *hold,
                       struct segment_step *step, struct error *err)
{
    memset(step, 0, sizeof *step);
    for (;;) {
        const uint8_t *bytes;
        size_t have;
        step->kind = SEGMENT_STEP_END;
        step->offset = step->end = w->offset;
        if (w->next_sequence > w->last_sequence)
            return;
        step->kind = SEGMENT_STEP_FAILED;
        if (!look_at(w, w->offset, SEGMENT_RECORD_BYTES, &bytes, &have, err))
            return;

        struct segment_record r;
        if (have < SEGMENT_RECORD_BYTES || !segment_record_decode(bytes, w->salt, &r) ||
            !counts(w, w->offset, &r) || r.sequence != w->next_sequence) {
            uint64_t before = w->offset;
            if (!resynchronise(w, step, err))
                return;
            if (step->kind == SEGMENT_STEP_FAILED && w->offset > before)
                continue;
            w->failures = 0;
            return;
        }
        bool intact = true;
        if (verify == SEGMENT_BODIES && !read_body(w, &r, hold, &intact, err))
            return;
        if (intact)
            take_record(w, &r, step);
        else
            pass_record(w, &r, step);
        w->failures = 0;
        return;
    }
}
