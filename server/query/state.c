/* Logins, and what the server says of itself: /healthz, /readyz, refusals. */
#include <stdio.h>

#include "core/json/reader.h"
#include "core/json/writer.h"
#include "server/query/handlers.h"

/* ---- POST /api/v1/auth/login ---- */

/* Finds two texts in a flat object; anything else in it is passed over. */
static bool read_credentials(struct bytes body, struct buffer *email, struct buffer *password,
                             struct error *err)
{
    struct json_reader r = json_reader_make(body);
    bool has_email = false, has_password = false;
    if (json_next(&r) != JSON_OBJECT_OPEN)
        return r.problem ? json_fail(&r, err)
                         : error_set(err, FAIL_INVALID, "the body must be a JSON object");
    enum json_token token;
    while ((token = json_next(&r)) == JSON_KEY) {
        bool is_email = json_string_equals(r.span, "email");
        bool is_password = json_string_equals(r.span, "password");
        if (!is_email && !is_password) {
            if (!json_skip_value(&r))
                break;
            continue;
        }
        token = json_next(&r);
        if (token != JSON_STRING || !json_string_decode(r.span, is_email ? email : password))
            break;
        has_email |= is_email;
        has_password |= is_password;
    }
    if (token == JSON_ERROR)
        return json_fail(&r, err);
    if (token != JSON_OBJECT_CLOSE || !has_email || !has_password) {
        error_set(err, FAIL_INVALID, "the body lacks 'email' or 'password' as texts");
        return error_remedy(err, "send {\"email\":\"…\",\"password\":\"…\"}");
    }
    return true;
}

static void answer_token(const struct query *q, struct route_call *call, const struct identity *who)
{
    struct buffer token = {.max_bytes = 4 * KIB}, out = {.max_bytes = 8 * KIB};
    struct json_writer w = json_writer_make(&out);
    bool good = login_issue(q->login, who, &token);
    json_object_open(&w);
    json_put_key(&w, "token");
    json_put_bytes(&w, buffer_bytes(&token));
    json_put_key(&w, "expiresInSeconds");
    json_put_int(&w, LOGIN_JWT_LIFE_S);
    json_put_key(&w, "role");
    json_put_string(&w, role_name(who->role));
    json_object_close(&w);
    if (good && json_writer_ok(&w))
        answer_json(call->exchange, buffer_bytes(&out));
    else
        answer_error(call->exchange, 500, "internal", "the token could not be made", NULL);
    buffer_clear(&token);
    buffer_clear(&out);
}

void query_log_in(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct identity who;
    uint32_t wait_s = 0;
    char source[SOURCE_BYTES];
    struct buffer email = {.max_bytes = CONTROL_EMAIL_BYTES};
    struct buffer password = {.max_bytes = LOGIN_MAX_PASSWORD_BYTES + 1};
    source_of_address(call->request->remote_address, source);
    if (!read_credentials(call->request->body, &email, &password, &err)) {
        answer_failure(call->exchange, &err);
        goto done;
    }
    const char *secret = buffer_text(&password);
    switch (login_check(q->login, buffer_bytes(&email), secret ? secret : "", source, &who, &wait_s,
                        &err)) {
    case LOGIN_GOOD:
        log_info(q->log, "audit", "login by=%s source=%s", who.email, source);
        answer_token(q, call, &who);
        break;
    case LOGIN_WRONG:
        log_warn(q->log, "audit", "login failed source=%s", source);
        answer_error(call->exchange, 401, "wrong_login", "the e-mail address or password is wrong",
                     NULL);
        break;
    case LOGIN_THROTTLED:
        answer_error_later(call->exchange, 429, "throttled", "too many failed logins", wait_s);
        break;
    case LOGIN_NO_ANSWER:
        query_answer_failure(q, call, &err);
        break;
    }

done:
    buffer_clear(&email);
    if (password.data)
        memset(password.data, 0, password.capacity);
    buffer_clear(&password);
}

/* ---- Health ---- */

void query_health(void *context, struct route_call *call)
{
    (void)context;
    http_respond_text(call->exchange, 200, "ok\n");
}

void query_ready(void *context, struct route_call *call)
{
    struct query *q = context;
    char why[READY_WHY_BYTES];
    bool ready = ready_check(q->ready, why);
    if (ready && ingest_store_is_down(q->ingest)) {
        ready = false;
        snprintf(why, sizeof why, "the last commit failed: the log says why");
    }
    char text[READY_WHY_BYTES + 8];
    snprintf(text, sizeof text, "%s\n", ready ? "ready" : why);
    http_respond_text(call->exchange, ready ? 200 : 503, text);
}

/* ---- GET /api/v1/refusals: who is turned away at the door of ingest ---- */

void query_refusals(void *context, struct route_call *call)
{
    struct query *q = context;
    struct gate_refusal *refusals =
        arena_alloc_many(&call->arena, GATE_MAX_REFUSALS + 1, sizeof *refusals);
    struct buffer out = {.max_bytes = MIB};
    struct json_writer w = json_writer_make(&out);
    size_t count = refusals ? gate_refusals(q->gate, refusals) : 0;
    json_object_open(&w);
    json_put_key(&w, "items");
    json_array_open(&w);
    for (size_t i = 0; i < count; i++) {
        json_object_open(&w);
        json_put_key(&w, "tokenPrefix");
        json_put_string(&w, refusals[i].prefix);
        json_put_key(&w, "source");
        json_put_string(&w, refusals[i].source);
        json_put_key(&w, "status");
        json_put_int(&w, refusals[i].status);
        json_put_key(&w, "count");
        json_put_uint(&w, refusals[i].count);
        json_put_key(&w, "firstAt");
        json_put_time(&w, refusals[i].first_ns);
        json_put_key(&w, "lastAt");
        json_put_time(&w, refusals[i].last_ns);
        json_object_close(&w);
    }
    json_array_close(&w);
    json_object_close(&w);
    if (json_writer_ok(&w))
        answer_json(call->exchange, buffer_bytes(&out));
    else
        answer_error(call->exchange, 500, "internal", "the answer is too large", NULL);
    buffer_clear(&out);
}
