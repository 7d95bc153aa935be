/* What a ClickHouse server answers: the first byte chooses what was asked for. */
#include <stddef.h>
#include <stdint.h>

#include "server/store/clickhouse_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rows(struct answer_reader *r)
{
    struct arena arena = {.max_bytes = 16 * MIB};
    struct line_row row;
    while (answer_more(r)) {
        arena_reset(&arena);
        if (!line_row_read(r, &arena, &row))
            break;
        /* What was read can be written, and a row's metadata is an object. */
        const struct line line = {.kind = LINE_MESSAGE, .message = &row.stored.message};
        struct line_block block;
        line_block_init(&block, 0);
        line_block_add(&block, &line);
        line_block_clear(&block);
        if (row.stored.message.metadata.len < 2)
            __builtin_trap();
    }
    arena_clear(&arena);
}

static void read_parts(struct answer_reader *r)
{
    uint8_t key[LINE_KEY_BYTES];
    while (answer_more(r)) {
        (void)answer_u8(r);
        answer_fixed(r, key, sizeof key);
        (void)answer_u32(r);
        (void)answer_i64(r);
        (void)answer_f64(r);
        struct bytes text = answer_text(r);
        if (text.len > r->rest.len + text.len || !text.data)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    if (size == 0)
        return 0;
    struct answer_reader r = {.rest = bytes_make(data + 1, size - 1)};
    if (data[0] % 2)
        read_rows(&r);
    else
        read_parts(&r);
    (void)!answer_ok(&r, &err);
    return 0;
}
