#include "server/store/join_rows.h"

#include <string.h>

bool join_changes_nothing(const struct message *a, const struct message *b)
{
    return memcmp(a->key, b->key, sizeof a->key) == 0 && a->time_ns == b->time_ns &&
           a->received_ns == b->received_ns && a->sources == b->sources &&
           a->parent_join_hash == b->parent_join_hash && a->person_rank == b->person_rank &&
           a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens &&
           a->cache_read_tokens == b->cache_read_tokens &&
           a->cache_create_tokens == b->cache_create_tokens &&
           a->cost_microcents == b->cost_microcents &&
           a->cost_computed_microcents == b->cost_computed_microcents &&
           a->duration_ms == b->duration_ms && a->success == b->success &&
           a->event_fields == b->event_fields && a->body_truncated == b->body_truncated &&
           memcmp(a->trace_id, b->trace_id, sizeof a->trace_id) == 0 &&
           memcmp(a->span_id, b->span_id, sizeof a->span_id) == 0 &&
           memcmp(a->parent_span_id, b->parent_span_id, sizeof a->parent_span_id) == 0 &&
           bytes_equal(a->service_name, b->service_name) && bytes_equal(a->model, b->model) &&
           bytes_equal(a->person, b->person) && bytes_equal(a->account_uuid, b->account_uuid) &&
           bytes_equal(a->account_id, b->account_id) && bytes_equal(a->name, b->name) &&
           bytes_equal(a->session_id, b->session_id) && bytes_equal(a->prompt_id, b->prompt_id) &&
           bytes_equal(a->request_id, b->request_id) &&
           bytes_equal(a->tool_use_id, b->tool_use_id) && bytes_equal(a->tool_name, b->tool_name) &&
           bytes_equal(a->body, b->body) && bytes_equal(a->metadata, b->metadata);
}

int64_t join_distance(const struct message *row, const struct message *message)
{
    int64_t apart = (int64_t)(message_end_ns(row) - message_end_ns(message));
    apart = apart < 0 ? -apart : apart;
    bool possible =
        !(row->sources & message->sources) && apart <= MESSAGE_WEAK_JOIN_MS * INT64_C(1000000);
    return possible ? apart : -1;
}
