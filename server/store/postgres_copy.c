#include "server/store/postgres_copy.h"

#include "server/store/postgres_link.h"

enum { WIRE_MAX_BYTES = 1000 * 1024 * 1024, PIECE_BYTES = 1024 * 1024 };

static void put(struct postgres_copy *copy, const void *data, size_t len)
{
    if (!buffer_append(&copy->wire, bytes_make(data, len)))
        copy->failed = true;
}

static void put_number(struct postgres_copy *copy, uint64_t number, unsigned bytes)
{
    uint8_t wire[8];
    for (unsigned i = 0; i < bytes; i++)
        wire[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
    put(copy, wire, bytes);
}

void postgres_copy_begin(struct postgres_copy *copy)
{
    /* Signature, flags, length of an extension: PostgreSQL's manual, COPY, "Binary Format". */
    static const char START[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    copy->wire.max_bytes = WIRE_MAX_BYTES;
    copy->failed = false;
    buffer_reset(&copy->wire);
    put(copy, START, sizeof START);
}

void postgres_copy_row(struct postgres_copy *copy, int columns)
{
    put_number(copy, (uint64_t)columns, 2);
}

void postgres_copy_16(struct postgres_copy *copy, int16_t number)
{
    put_number(copy, 2, 4);
    put_number(copy, (uint64_t)number, 2);
}

void postgres_copy_64(struct postgres_copy *copy, int64_t number)
{
    put_number(copy, 8, 4);
    put_number(copy, (uint64_t)number, 8);
}

void postgres_copy_bytes(struct postgres_copy *copy, struct bytes value)
{
    if (value.len > WIRE_MAX_BYTES) {
        copy->failed = true;
        return;
    }
    put_number(copy, value.len, 4);
    put(copy, value.data, value.len);
}

void postgres_copy_null(struct postgres_copy *copy)
{
    put_number(copy, UINT32_MAX, 4);
}

void postgres_copy_clear(struct postgres_copy *copy)
{
    buffer_clear(&copy->wire);
    copy->failed = false;
}

bool postgres_copy_run(struct postgres_link *link, const char *sql, struct postgres_copy *copy,
                       struct error *err)
{
    put_number(copy, UINT16_MAX, 2); /* the end */
    if (copy->failed)
        return error_set(err, FAIL_TOO_LARGE, "more rows than fit into one statement");
    uint64_t limit_ns;
    if (!postgres_begin_copy(link, sql, &limit_ns, err))
        return false;
    struct bytes rest = buffer_bytes(&copy->wire);
    bool sent = true;
    while (sent && rest.len) {
        size_t len = rest.len < PIECE_BYTES ? rest.len : PIECE_BYTES;
        sent = PQputCopyData(link->pg, (const char *)rest.data, (int)len) == 1;
        rest = bytes_make(rest.data + len, rest.len - len);
    }
    sent = sent && PQputCopyEnd(link->pg, NULL) == 1;
    return postgres_read_answers(link, sent, limit_ns, err);
}
