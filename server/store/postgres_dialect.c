#include <string.h>

#include "core/crypto/crypto.h"
#include "server/store/postgres_messages.h"

void postgres_text_hash(struct bytes text, uint8_t hash[POSTGRES_TEXT_HASH_BYTES])
{
    uint8_t whole[SHA256_BYTES];
    crypto_sha256(text, whole);
    memcpy(hash, whole, POSTGRES_TEXT_HASH_BYTES);
}

static void put_text_id(struct where *where, struct bytes text)
{
    uint8_t hash[POSTGRES_TEXT_HASH_BYTES];
    postgres_text_hash(text, hash);
    where_text(where, "(SELECT id FROM text WHERE hash=");
    where_bind_blob(where, bytes_make(hash, sizeof hash));
    where_text(where, ")");
}

/* IS NOT DISTINCT FROM compares each row with each; these equalities are hashed. */
static void put_same(struct where *where, const char *a, const char *b, bool is_number)
{
    const char *const parts[] = {" AND coalesce(",
                                 a,
                                 is_number ? ",0)=coalesce(" : ",'')=coalesce(",
                                 b,
                                 is_number ? ",0) AND (" : ",'') AND (",
                                 a,
                                 " IS NULL)=(",
                                 b,
                                 " IS NULL)"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        where_text(where, parts[i]);
}

#define PERCENTILE(fraction)                                                   \
    {                                                                          \
        "percentile_cont(" fraction ") WITHIN GROUP (ORDER BY (", ")::float8)" \
    }

/* Metrics leave as text, from which whole numbers of any size are read exactly. */
const struct dialect postgres_dialect = {
    .parameter = '$',
    .blob_shown = "encode(%1$s,'hex')",
    .metric_shown = "::varchar",
    .functions =
        {
            [AGGREGATE_COUNT] = {"coalesce(sum(", "),0)"},
            [AGGREGATE_SUM] = {"coalesce(sum(", "),0)"},
            [AGGREGATE_AVG] = {"avg((", ")::float8)"},
            [AGGREGATE_MIN] = {"min(", ")"},
            [AGGREGATE_MAX] = {"max(", ")"},
            [AGGREGATE_P50] = PERCENTILE("0.50"),
            [AGGREGATE_P90] = PERCENTILE("0.90"),
            [AGGREGATE_P95] = PERCENTILE("0.95"),
            [AGGREGATE_P99] = PERCENTILE("0.99"),
            [AGGREGATE_UNIQ] = {"count(DISTINCT ", ")"},
        },
    .uniq_number = "count(DISTINCT ",
    .bucket_before = "width_bucket(",
    .bucket_middle = "/1000000000,",
    .bucket_after = ")",
    .put_text_id = put_text_id,
    .put_same = put_same,
};

void postgres_where_bind(const struct where *where, struct postgres_query *query)
{
    for (size_t i = 0; i < where->value_count; i++) {
        const struct where_value *value = &where->values[i];
        int at = (int)i + 1;
        switch (value->kind) {
        case BIND_INT:
            postgres_bind_int(query, at, value->number);
            break;
        case BIND_TEXT:
            postgres_bind_text(query, at, value->bytes);
            break;
        case BIND_BLOB:
            postgres_bind_blob(query, at, value->bytes);
            break;
        case BIND_INTERVALS:
            postgres_bind_raw(query, at, POSTGRES_TYPE_BIGINTS, value->bytes);
            break;
        }
    }
}
