#include "agent/relay/answer.h"

#include <stdio.h>

#include "tests/support/expect.h"

static struct http_result answered(int status, const char *headers, const char *body)
{
    return (struct http_result){.stage = HTTP_STAGE_DONE,
                                .status = status,
                                .headers = bytes_of(headers),
                                .body = bytes_of(body),
                                .error = ""};
}

START_TEST(every_row_of_the_answer_table)
{
    static const struct {
        int status;
        enum answer expected;
    } rows[] = {
        {200, ANSWER_TAKEN}, {202, ANSWER_TAKEN}, {204, ANSWER_TAKEN},     {301, ANSWER_ODD},
        {302, ANSWER_ODD},   {400, ANSWER_BAD},   {401, ANSWER_AUTH},      {403, ANSWER_AUTH},
        {404, ANSWER_BAD},   {405, ANSWER_BAD},   {407, ANSWER_LATER},     {408, ANSWER_LATER},
        {409, ANSWER_BAD},   {410, ANSWER_BAD},   {413, ANSWER_TOO_LARGE}, {415, ANSWER_BAD},
        {422, ANSWER_BAD},   {425, ANSWER_LATER}, {429, ANSWER_LATER},     {500, ANSWER_LATER},
        {501, ANSWER_LATER}, {502, ANSWER_LATER}, {503, ANSWER_LATER},     {504, ANSWER_LATER},
        {599, ANSWER_LATER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_result result = answered(rows[i].status, "", "");
        ck_assert_msg(answer_of(&result, false) == rows[i].expected, "status %d", rows[i].status);
    }
}
END_TEST

START_TEST(every_broken_stage_means_later)
{
    for (int stage = HTTP_STAGE_RESOLVE; stage <= HTTP_STAGE_SEND; stage++) {
        struct http_result result = {.stage = (enum http_stage)stage, .error = "why"};
        ck_assert_int_eq(answer_of(&result, true), ANSWER_LATER);
    }
}
END_TEST

START_TEST(a_web_page_is_not_a_success)
{
    struct http_result by_type =
        answered(200, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n", "hello");
    struct http_result by_body = answered(200, "HTTP/1.1 200 OK\r\n\r\n", " \n<!DOCTYPE html>");
    struct http_result json =
        answered(200, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", "{}");
    ck_assert_int_eq(answer_of(&by_type, false), ANSWER_ODD);
    ck_assert_int_eq(answer_of(&by_body, false), ANSWER_ODD);
    ck_assert_int_eq(answer_of(&json, false), ANSWER_TAKEN);
}
END_TEST

START_TEST(an_overlap_exists_only_where_batch_ids_were_sent)
{
    struct http_result result = answered(409, "", "");
    ck_assert_int_eq(answer_of(&result, true), ANSWER_OVERLAP);
    ck_assert_int_eq(answer_of(&result, false), ANSWER_BAD);
}
END_TEST

START_TEST(partial_success_is_read_in_both_encodings)
{
    struct buffer body = {.max_bytes = KIB};
    struct otlp_partial_success partial;
    ck_assert(otlp_put_response(OTLP_LOGS, OTLP_PROTOBUF, 7, "too old", &body));
    struct http_result result =
        answered(200, "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n", "");
    result.body = buffer_bytes(&body);
    answer_partial_success(&result, &partial);
    ck_assert_int_eq(partial.rejected, 7);

    result = answered(200, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
                      "{\"partialSuccess\":{\"rejectedLogRecords\":\"3\"}}");
    answer_partial_success(&result, &partial);
    ck_assert_int_eq(partial.rejected, 3);

    result = answered(200, "", "ok");
    answer_partial_success(&result, &partial);
    ck_assert_int_eq(partial.rejected, 0);
    buffer_clear(&body);
}
END_TEST

START_TEST(a_description_is_one_printable_line)
{
    char text[100];
    struct http_result result = {.stage = HTTP_STAGE_RESOLVE, .error = "no such\nname"};
    answer_describe(&result, text, sizeof text);
    ck_assert_str_eq(text, "name not found: no such name");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/answer");
    TCase *tc = tcase_create("answer");
    tcase_add_test(tc, every_row_of_the_answer_table);
    tcase_add_test(tc, every_broken_stage_means_later);
    tcase_add_test(tc, a_web_page_is_not_a_success);
    tcase_add_test(tc, an_overlap_exists_only_where_batch_ids_were_sent);
    tcase_add_test(tc, partial_success_is_read_in_both_encodings);
    tcase_add_test(tc, a_description_is_one_printable_line);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
