#include "agent/relay/batch.h"

#include "core/otlp/otlp.h"
#include "tests/support/expect.h"
#include "tests/support/make_logs.h"

static struct error err;

/* Records 10, 12, 15 with 1, 2, 3 items; the signal was covered up to 7. */
static struct batch *three_records(void)
{
    static const uint64_t sequences[] = {10, 12, 15};
    struct batch *b = batch_create(OTLP_LOGS, 0, MIB);
    uint64_t covered = 7;
    for (unsigned i = 0; i < 3; i++) {
        make_logs(i * 10, i + 1, 20, NULL, NULL, &b->body);
        batch_close_record(b, (struct batch_record){.sequence = sequences[i],
                                                    .covers_from = covered + 1,
                                                    .item_count = i + 1});
        covered = sequences[i];
    }
    return b;
}

START_TEST(concatenated_records_are_one_valid_request)
{
    struct batch *b = three_records();
    uint64_t items = 0;
    expect_ok(otlp_check(OTLP_LOGS, buffer_bytes(&b->body), &items, &err));
    ck_assert_uint_eq(items, 6);
    ck_assert_uint_eq(batch_items(b), 6);
    ck_assert_uint_eq(batch_first(b), 8);
    ck_assert_uint_eq(batch_last(b), 15);
    batch_destroy(b);
}
END_TEST

START_TEST(split_parts_tile_the_interval_and_keep_every_record)
{
    struct batch *b = three_records();
    struct batch *rest = batch_split(b, 1);
    uint64_t items = 0;
    ck_assert_uint_eq(batch_first(b), 8);
    ck_assert_uint_eq(batch_last(b), 10);
    ck_assert_uint_eq(batch_first(rest), 11);
    ck_assert_uint_eq(batch_last(rest), 15);
    expect_ok(otlp_check(OTLP_LOGS, buffer_bytes(&b->body), &items, &err));
    ck_assert_uint_eq(items, 1);
    for (size_t i = 0; i < 2; i++) {
        expect_ok(otlp_check(OTLP_LOGS, batch_payload(rest, i), &items, &err));
        ck_assert_uint_eq(items, i + 2);
    }
    batch_destroy(b);
    batch_destroy(rest);
}
END_TEST

START_TEST(a_single_request_is_cut_in_pieces_down_to_one_item)
{
    struct batch *b = batch_create(OTLP_LOGS, 0, MIB);
    make_logs(0, 3, 20, NULL, NULL, &b->body);
    batch_close_record(b, (struct batch_record){.sequence = 4, .covers_from = 4, .item_count = 3});
    struct batch *rest = batch_cut_inside(b, &err);
    ck_assert_ptr_nonnull(rest);
    ck_assert(b->is_piece && rest->is_piece);
    ck_assert_uint_eq(b->records[0].item_count + rest->records[0].item_count, 3);
    ck_assert_uint_eq(rest->records[0].sequence, 4);
    struct batch *larger = b->records[0].item_count == 2 ? b : rest;
    struct batch *smaller = larger == b ? rest : b;
    ck_assert_ptr_null(batch_cut_inside(smaller, &err));
    struct batch *last = batch_cut_inside(larger, &err);
    ck_assert_ptr_nonnull(last);
    ck_assert_uint_eq(last->records[0].item_count, 1);
    ck_assert_uint_eq(larger->records[0].item_count, 1);
    batch_destroy(b);
    batch_destroy(rest);
    batch_destroy(last);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/batch");
    TCase *tc = tcase_create("batch");
    tcase_add_test(tc, concatenated_records_are_one_valid_request);
    tcase_add_test(tc, split_parts_tile_the_interval_and_keep_every_record);
    tcase_add_test(tc, a_single_request_is_cut_in_pieces_down_to_one_item);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
