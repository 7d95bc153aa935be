#include "server/store/postgres_array.h"

#include <string.h>

/* Type numbers of the element and of its array: fixed for ever, as in postgres_query.c. */
static const struct {
    uint32_t element, array;
} TYPES[] = {
    [ARRAY_INT] = {20, 1016},
    [ARRAY_DOUBLE] = {701, 1022},
    [ARRAY_TEXT] = {25, 1009},
    [ARRAY_BLOB] = {17, 1001},
};

/* One dimension, whether there are NULLs, the element's type, how many, the first one's number. */
enum { HEADER_BYTES = 20, WIRE_MAX_BYTES = 1000 * 1024 * 1024 };

static void put(struct postgres_array *array, const void *data, size_t len)
{
    if (!buffer_append(&array->wire, bytes_make(data, len)))
        array->failed = true;
}

static void put_32(struct postgres_array *array, uint32_t number)
{
    const uint8_t wire[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 8), (uint8_t)number};
    put(array, wire, sizeof wire);
}

static void put_64(struct postgres_array *array, uint64_t number)
{
    put_32(array, (uint32_t)(number >> 32));
    put_32(array, (uint32_t)number);
}

static void put_header(struct postgres_array *array)
{
    const uint32_t header[] = {1, 0, TYPES[array->kind].element, array->count, 1};
    for (size_t i = 0; i < sizeof header / sizeof *header; i++)
        put_32(array, header[i]);
}

static void begin(struct postgres_array *array, size_t len)
{
    array->wire.max_bytes = WIRE_MAX_BYTES;
    if (array->wire.len == 0)
        put_header(array);
    array->count++;
    put_32(array, (uint32_t)len);
}

void postgres_array_int(struct postgres_array *array, int64_t number)
{
    begin(array, 8);
    put_64(array, (uint64_t)number);
}

void postgres_array_double(struct postgres_array *array, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    begin(array, 8);
    put_64(array, bits);
}

void postgres_array_bytes(struct postgres_array *array, struct bytes value)
{
    if (value.len > WIRE_MAX_BYTES) {
        array->failed = true;
        return;
    }
    begin(array, value.len);
    put(array, value.data, value.len);
}

bool postgres_array_wire(struct postgres_array *array, struct bytes *wire, struct error *err)
{
    if (array->failed)
        return error_set(err, FAIL_TOO_LARGE, "more rows than fit into one statement");
    array->wire.max_bytes = WIRE_MAX_BYTES;
    size_t len = array->wire.len;
    array->wire.len = 0; /* the header again, now that the count is known */
    put_header(array);
    if (len > HEADER_BYTES)
        array->wire.len = len;
    *wire = buffer_bytes(&array->wire);
    return true;
}

bool postgres_bind_array(struct postgres_query *query, int at, struct postgres_array *array,
                         struct error *err)
{
    struct bytes wire;
    if (!postgres_array_wire(array, &wire, err))
        return false;
    postgres_bind_raw(query, at, TYPES[array->kind].array, wire);
    return true;
}

void postgres_array_reset(struct postgres_array *array)
{
    buffer_reset(&array->wire);
    array->count = 0;
    array->failed = false;
}

void postgres_array_clear(struct postgres_array *array)
{
    buffer_clear(&array->wire);
    array->count = 0;
    array->failed = false;
}
