#include "server/store/clickhouse_client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "platform/fs.h"

enum {
    LINES_MAX = 16,
    PATIENCE_MS = 120000,
    CONNECT_MS = 5000,
    ANSWER_MIB = 256,
    NAME_BYTES_MAX = 64,
};

struct clickhouse {
    char *url;   /* "http://host:8123/" */
    char *shown; /* "host:8123" */
    char *database;
    char *user_header, *key_header; /* NULL: none */
    char *ca_file;                  /* NULL: the system's */
    unsigned version;

    pthread_mutex_t lock; /* over both below */
    struct http_line *idle[LINES_MAX];
    int idle_count;
};

/* ---- The URL ---- */

static bool bad_url(struct error *err, const char *what)
{
    error_set(err, FAIL_INVALID, "the URL of the ClickHouse store %s", what);
    return error_remedy(err, "write clickhouse+http://USER@HOST:8123/DATABASE?password_file=PATH");
}

static bool unescape(struct bytes text, struct buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? bytes_hex_digit(text.data[i + 1]) : -1;
            int low = high >= 0 ? bytes_hex_digit(text.data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (c < ' ' || !buffer_append_byte(out, c))
            return false;
    }
    return true;
}

static char *header_of(const char *name, struct bytes escaped)
{
    struct buffer value = {.max_bytes = 4 * KIB};
    char *header =
        unescape(escaped, &value) ? xasprintf("%s: %s", name, buffer_text(&value)) : NULL;
    buffer_clear(&value);
    return header;
}

static bool set_user(struct clickhouse *ch, struct bytes who, struct error *err)
{
    const uint8_t *colon = who.len ? memchr(who.data, ':', who.len) : NULL;
    size_t user = colon ? (size_t)(colon - who.data) : who.len;
    ch->user_header = header_of("X-ClickHouse-User", bytes_make(who.data, user));
    if (colon)
        ch->key_header = header_of("X-ClickHouse-Key", bytes_make(colon + 1, who.len - user - 1));
    return (ch->user_header && (!colon || ch->key_header)) ||
           bad_url(err, "has a user or password that is not percent-encoded");
}

static bool read_password(struct clickhouse *ch, const char *path, struct error *err)
{
    struct buffer file = {.max_bytes = 4 * KIB};
    bool ok = fs_read_file(&fs_real, path, &file, err);
    while (ok && file.len > 0 && file.data[file.len - 1] <= ' ')
        file.len--;
    if (ok && (file.len == 0 || memchr(file.data, '\n', file.len)))
        ok = error_set(err, FAIL_INVALID, "'%s' does not hold one line", path);
    if (ok) {
        free(ch->key_header);
        ch->key_header = xasprintf("X-ClickHouse-Key: %s", buffer_text(&file));
    }
    if (file.data)
        memset(file.data, 0, file.capacity);
    buffer_clear(&file);
    return ok || error_wrap(err, "cannot read the password of the ClickHouse store");
}

static bool set_parameter(struct clickhouse *ch, struct bytes parameter, struct error *err)
{
    static const char password[] = "password_file=", ca[] = "ca_file=";
    bool is_password = bytes_starts_with(parameter, password);
    size_t name = is_password ? sizeof password - 1 : sizeof ca - 1;
    struct buffer path = {.max_bytes = 4 * KIB};
    if (!is_password && !bytes_starts_with(parameter, ca))
        return bad_url(err, "has a parameter that is neither password_file nor ca_file");
    bool ok = unescape(bytes_make(parameter.data + name, parameter.len - name), &path) ||
              bad_url(err, "has a parameter that is not percent-encoded");
    if (ok && is_password)
        ok = read_password(ch, buffer_text(&path), err);
    else if (ok)
        ch->ca_file = xstrdup(buffer_text(&path));
    buffer_clear(&path);
    return ok;
}

static bool is_name(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return text.len > 0 && text.len <= NAME_BYTES_MAX;
}

/* What stands before the first of `stops`, which is left in front of the rest. */
static struct bytes take_until(struct bytes *rest, const char *stops)
{
    size_t len = 0;
    while (len < rest->len && !strchr(stops, rest->data[len]))
        len++;
    struct bytes taken = bytes_make(rest->data, len);
    *rest = bytes_make(rest->data + len, rest->len - len);
    return taken;
}

static bool skip_one(struct bytes *rest, char wanted)
{
    if (rest->len == 0 || rest->data[0] != (uint8_t)wanted)
        return false;
    *rest = bytes_make(rest->data + 1, rest->len - 1);
    return true;
}

static bool parse_location(struct clickhouse *ch, const char *location, bool tls, struct error *err)
{
    struct bytes rest = bytes_of(location);
    if (!skip_one(&rest, '/') || !skip_one(&rest, '/'))
        return bad_url(err, "names no host");
    struct bytes host = take_until(&rest, "/?"), database = {0};
    for (size_t at = host.len; at-- > 0;) {
        if (host.data[at] != '@')
            continue;
        if (!set_user(ch, bytes_make(host.data, at), err))
            return false;
        host = bytes_make(host.data + at + 1, host.len - at - 1);
        break;
    }
    if (host.len == 0)
        return bad_url(err, "names no host");
    if (skip_one(&rest, '/'))
        database = take_until(&rest, "?");
    if (database.len == 0)
        database = bytes_of("claude_telemetry");
    if (!is_name(database))
        return bad_url(err, "has a database whose name is not of letters, digits and _");
    bool has_port = host.data[host.len - 1] != ']' && memchr(host.data, ':', host.len);
    ch->shown = xasprintf("%.*s%s", (int)host.len, (const char *)host.data,
                          has_port ? ""
                          : tls    ? ":8443"
                                   : ":8123");
    ch->url = xasprintf("%s://%s/", tls ? "https" : "http", ch->shown);
    ch->database = xstrndup((const char *)database.data, database.len);
    while (rest.len) {
        skip_one(&rest, '?');
        struct bytes parameter = take_until(&rest, "&");
        skip_one(&rest, '&');
        if (!set_parameter(ch, parameter, err))
            return false;
    }
    return true;
}

/* ---- Failures ---- */

static unsigned code_of(struct bytes body)
{
    static const char start[] = "Code: ";
    unsigned code = 0;
    if (!bytes_starts_with(body, start))
        return 0;
    for (size_t i = sizeof start - 1; i < body.len && code < 100000; i++) {
        if (body.data[i] < '0' || body.data[i] > '9')
            break;
        code = code * 10 + body.data[i] - '0';
    }
    return code;
}

/* Of the codes in ClickHouse's ErrorCodes.cpp, those somebody can act on. */
static bool refuse(const struct clickhouse *ch, int status, struct bytes body, bool show,
                   struct error *err)
{
    static const struct {
        unsigned code;
        enum error_kind kind;
        const char *cause, *remedy;
    } KNOWN[] = {
        {159, FAIL_BUSY, "the question took too long",
         "ask for a shorter time range, or fewer groups"},
        {160, FAIL_BUSY, "the question would take too long",
         "ask for a shorter time range, or fewer groups"},
        {202, FAIL_BUSY, "ClickHouse runs as many queries as it may",
         "raise max_concurrent_queries there, or ask less often"},
        {241, FAIL_TOO_LARGE, "the question needs more memory than ClickHouse may use",
         "ask for a shorter time range, or fewer groups; or raise max_memory_usage there"},
        {243, FAIL_NO_SPACE, "the disk of ClickHouse is full",
         "free space there, or shorten retention"},
        {252, FAIL_BUSY, "ClickHouse is behind with merging",
         "look there for what slows it down; rows are sent again"},
        {164, FAIL_DENIED, "the user may only read",
         "give the user of the URL the rights named in docs/clickhouse.md"},
        {192, FAIL_DENIED, "ClickHouse does not know the user", "check the user in --messages"},
        {193, FAIL_DENIED, "ClickHouse refuses the password",
         "check the file that password_file names in --messages"},
        {194, FAIL_DENIED, "ClickHouse wants a password", "add password_file=PATH to --messages"},
        {195, FAIL_DENIED, "ClickHouse does not let the user in from this address",
         "allow it in the user's networks there"},
        {291, FAIL_DENIED, "the user may not use the database",
         "give the user of the URL the rights named in docs/clickhouse.md"},
        {497, FAIL_DENIED, "the user lacks rights",
         "give the user of the URL the rights named in docs/clickhouse.md"},
        {516, FAIL_DENIED, "ClickHouse refuses user or password",
         "check user and password_file in --messages"},
    };
    unsigned code = code_of(body);
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (KNOWN[i].code == code) {
            error_set(err, KNOWN[i].kind, "%s (%s, code %u)", KNOWN[i].cause, ch->shown, code);
            return error_remedy(err, "%s", KNOWN[i].remedy);
        }
    /* What it says of an insert may quote rows: prompts do not belong into logs. */
    size_t len = show ? (body.len < 160 ? body.len : 160) : 0;
    error_set(err, FAIL_IO, "ClickHouse at %s answers %d, code %u%s%.*s", ch->shown, status, code,
              len ? ": " : "", (int)len, len ? (const char *)body.data : "");
    return error_remedy(err, "see the error log of that server");
}

static bool unreachable(const struct clickhouse *ch, const struct http_result *result,
                        uint32_t time_limit_ms, struct error *err)
{
    if (time_limit_ms && bytes_contain(bytes_of(result->error), "timed out")) {
        error_set(err, FAIL_BUSY, "the question took longer than %u ms", time_limit_ms);
        return error_remedy(err, "ask for a shorter time range, or fewer groups");
    }
    if (bytes_contain(bytes_of(result->error), "the answer exceeds")) {
        error_set(err, FAIL_TOO_LARGE, "the answer exceeds %d MiB", ANSWER_MIB);
        return error_remedy(err, "ask for a shorter time range, or less at once");
    }
    error_set(err, FAIL_IO, "ClickHouse at %s does not answer: %s", ch->shown, result->error);
    return error_remedy(err, "see that it runs and can be reached from here, or check --messages");
}

/* ---- Statements ---- */

static struct http_line *line_take(struct clickhouse *ch)
{
    pthread_mutex_lock(&ch->lock);
    struct http_line *line = ch->idle_count ? ch->idle[--ch->idle_count] : NULL;
    pthread_mutex_unlock(&ch->lock);
    return line ? line : http_line_create();
}

static void line_give(struct clickhouse *ch, struct http_line *line)
{
    pthread_mutex_lock(&ch->lock);
    bool room = ch->idle_count < LINES_MAX;
    if (room)
        ch->idle[ch->idle_count++] = line;
    pthread_mutex_unlock(&ch->lock);
    if (!room)
        http_line_destroy(line);
}

static bool post(struct clickhouse *ch, const char *parameters, struct bytes body,
                 uint32_t time_limit_ms, bool show, struct buffer *answer, struct error *err)
{
    /* The answer is whole before its status is sent, so 200 means that nothing went wrong. */
    char *url = xasprintf("%s?wait_end_of_query=1%s", ch->url, parameters);
    const char *headers[] = {ch->user_header ? ch->user_header : ch->key_header,
                             ch->user_header ? ch->key_header : NULL, NULL};
    struct http_line *line = line_take(ch);
    const struct http_call call = {.method = "POST",
                                   .url = url,
                                   .headers = headers,
                                   .body = body,
                                   .ca_file = ch->ca_file,
                                   .timeout_ms = time_limit_ms ? time_limit_ms : PATIENCE_MS,
                                   .connect_timeout_ms = CONNECT_MS,
                                   .max_answer_bytes = ANSWER_MIB * MIB,
                                   .line = line};
    struct http_result result;
    struct buffer head = {0};
    http_client_perform(&call, &result, answer, &head);
    bool ok = result.stage == HTTP_STAGE_DONE && result.status == 200;
    if (!ok && result.stage != HTTP_STAGE_DONE)
        unreachable(ch, &result, time_limit_ms, err);
    else if (!ok)
        refuse(ch, result.status, result.body, show, err);
    line_give(ch, line);
    buffer_clear(&head);
    free(url);
    return ok;
}

/* Settings of every statement but the first, when it is not known yet which the server knows. */
static char *settings_of(const struct clickhouse *ch, uint32_t time_limit_ms)
{
    unsigned seconds = time_limit_ms / 1000 + (time_limit_ms > 0);
    return xasprintf("&database=%s&max_query_size=268435456&max_ast_elements=10000000"
                     "&max_execution_time=%u%s",
                     ch->database, seconds,
                     ch->version >= 22 ? "&async_insert=0&max_expanded_ast_elements=10000000" : "");
}

bool clickhouse_ask(struct clickhouse *ch, struct bytes sql, uint32_t time_limit_ms,
                    struct buffer *answer, struct error *err)
{
    char *settings = settings_of(ch, time_limit_ms);
    bool ok = post(ch, settings, sql, time_limit_ms, true, answer, err);
    free(settings);
    return ok;
}

bool clickhouse_run(struct clickhouse *ch, const char *sql, struct error *err)
{
    struct buffer answer = {0};
    bool ok = clickhouse_ask(ch, bytes_of(sql), 0, &answer, err);
    buffer_clear(&answer);
    return ok;
}

bool clickhouse_insert(struct clickhouse *ch, const char *table, struct bytes block,
                       struct error *err)
{
    struct buffer answer = {0};
    char *settings = settings_of(ch, 0);
    char *all = xasprintf("%s&query=INSERT%%20INTO%%20%s%%20FORMAT%%20Native", settings, table);
    bool ok = post(ch, all, block, 0, false, &answer, err);
    free(settings);
    free(all);
    buffer_clear(&answer);
    return ok;
}

unsigned clickhouse_version(const struct clickhouse *ch)
{
    return ch->version;
}

/* ---- Coming and going ---- */

static bool ask_version(struct clickhouse *ch, struct error *err)
{
    struct buffer answer = {0};
    bool ok = post(ch, "", bytes_of("SELECT version()"), 0, true, &answer, err);
    if (ok) {
        ch->version = (unsigned)strtoul(buffer_text(&answer), NULL, 10);
        ok = ch->version > 0 ||
             error_set(err, FAIL_INVALID, "what answers at %s is no ClickHouse", ch->shown);
    }
    buffer_clear(&answer);
    return ok;
}

/* Made only when it is not there: who may not make databases may well use one. */
static bool make_database(struct clickhouse *ch, struct error *err)
{
    struct buffer answer = {0};
    char *sql = xasprintf("SELECT count() FROM system.databases WHERE name='%s'", ch->database);
    bool ok = post(ch, "", bytes_of(sql), 0, true, &answer, err);
    free(sql);
    if (ok && bytes_starts_with(buffer_bytes(&answer), "0")) {
        sql = xasprintf("CREATE DATABASE IF NOT EXISTS %s", ch->database);
        ok = post(ch, "", bytes_of(sql), 0, true, &answer, err);
        free(sql);
    }
    buffer_clear(&answer);
    return ok;
}

struct clickhouse *clickhouse_create(const char *location, bool tls, struct error *err)
{
    struct clickhouse *ch = xcalloc(1, sizeof *ch);
    pthread_mutex_init(&ch->lock, NULL);
    if (parse_location(ch, location, tls, err) && ask_version(ch, err) && make_database(ch, err))
        return ch;
    clickhouse_destroy(ch);
    return NULL;
}

void clickhouse_destroy(struct clickhouse *ch)
{
    if (!ch)
        return;
    while (ch->idle_count > 0)
        http_line_destroy(ch->idle[--ch->idle_count]);
    pthread_mutex_destroy(&ch->lock);
    free(ch->url);
    free(ch->shown);
    free(ch->database);
    free(ch->user_header);
    if (ch->key_header)
        memset(ch->key_header, 0, strlen(ch->key_header));
    free(ch->key_header);
    free(ch->ca_file);
    free(ch);
}
