/* Statements on a connection: parameters and results in binary, rows one by one, within the time limit. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/json/utf8.h"
#include "platform/platform.h"
#include "server/store/postgres_link.h"

enum {
    ANSWER_MS = 60000,     /* the longest that one answer may take when nobody set a limit */
    CANCEL_MS = 5000,      /* after asking for an end */
    PARAMETERS_MAX = 1024, /* more than any question has: where.h */
    BINARY = 1,
    /* Type numbers: fixed for ever, src/include/catalog/pg_type.dat. */
    TYPE_BYTEA = 17,
    TYPE_BIGINT = 20,
    TYPE_TEXT = 25,
    TYPE_DOUBLE = 701,
};

struct parameter {
    const char *value; /* NULL: NULL, unless it is a number */
    int len;
    Oid type;
    bool is_number;
    char number[8];
    char *repaired; /* text that was not UTF-8 */
};

struct postgres_query {
    struct postgres_link *link;
    const char *sql;
    char *copy;   /* owns the text of one that is used once */
    bool running; /* sent, and its end has not been seen */
    PGresult *row;
    uint64_t changes;
    uint64_t limit_ns; /* of the answer that is waited for; 0: none */
    int count;         /* of parameters */
    int capacity;
    struct parameter *parameters;
};

/* ---- Errors ---- */

static enum error_kind kind_of(const char *state)
{
    static const struct {
        const char *begin; /* of the SQLSTATE, appendix A of PostgreSQL's manual */
        enum error_kind kind;
    } kinds[] = {
        {"08", FAIL_IO},          /* connection exceptions */
        {"22", FAIL_INVALID},     /* data exceptions */
        {"23", FAIL_INVALID},     /* integrity constraints */
        {"28", FAIL_DENIED},      /* authorization */
        {"40", FAIL_BUSY},        /* serialization failure, deadlock */
        {"42501", FAIL_DENIED},   /* insufficient privilege */
        {"53100", FAIL_NO_SPACE}, /* disk full */
        {"53200", FAIL_BUSY},     /* out of memory */
        {"53300", FAIL_BUSY},     /* too many connections */
        {"54", FAIL_TOO_LARGE},   /* program limits */
        {"55P03", FAIL_BUSY},     /* lock not available */
        {"57014", FAIL_BUSY},     /* cancelled */
        {"XX001", FAIL_CORRUPT},  /* data corrupted */
        {"XX002", FAIL_CORRUPT},  /* index corrupted */
    };
    for (size_t i = 0; state && i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(state, kinds[i].begin, strlen(kinds[i].begin)) == 0)
            return kinds[i].kind;
    return FAIL_IO;
}

static void remedy_for(enum error_kind kind, const char *state, struct error *err)
{
    if (kind == FAIL_NO_SPACE)
        error_remedy(err, "free space on PostgreSQL's volume, or shorten retention");
    else if (strcmp(state, "57014") == 0)
        error_remedy(err, "ask for a shorter time range, or fewer groups");
    else if (kind == FAIL_DENIED)
        error_remedy(err, "make the user of the URL the owner of the database");
    else if (kind == FAIL_CORRUPT)
        error_remedy(err, "restore the database from a backup");
    else if (strcmp(state, "25006") == 0)
        error_remedy(err, "point --store at the primary, not at a standby");
    else if (kind == FAIL_IO)
        error_remedy(err, "see that PostgreSQL runs; its log tells more");
}

/* From a failed answer, or from the connection when there is none. Takes over `answer`. */
static bool fail(struct postgres_link *link, PGresult *answer, struct error *err)
{
    /* The primary message only: the detail behind it may quote what was written. */
    const char *message = PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    enum error_kind kind = kind_of(state);
    char first[256];
    snprintf(first, sizeof first, "%s", message ? message : PQerrorMessage(link->pg));
    first[strcspn(first, "\n")] = '\0';
    error_set(err, kind, "PostgreSQL: %s", first[0] ? first : "no answer");
    remedy_for(kind, state ? state : "", err);
    link->met_another = state && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
    /* Prepared statements that are gone or fit no more: a pooler, or a schema that changed. */
    if (state && (strcmp(state, "26000") == 0 || strcmp(state, "0A000") == 0))
        link->stale = true;
    PQclear(answer);
    return false;
}

/* ---- Waiting ---- */

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(&platform_clock);
}

static uint64_t limit_of(const struct postgres_link *link)
{
    if (link->patient)
        return 0;
    return link->until_ns ? link->until_ns : now_ns() + ANSWER_MS * NS_PER_MS;
}

/* Until an answer is there, or the limit (0: none) has passed: then false, with nothing in `err`. */
static bool wait_until(struct postgres_link *link, uint64_t limit_ns)
{
    while (PQisBusy(link->pg)) {
        struct pollfd socket = {.fd = PQsocket(link->pg), .events = POLLIN};
        uint64_t now = now_ns();
        if (limit_ns && now >= limit_ns)
            return false;
        uint64_t left_ms = limit_ns ? (limit_ns - now) / NS_PER_MS + 1 : 1000;
        int ready = poll(&socket, 1, left_ms < 1000 ? (int)left_ms : 1000);
        if (ready < 0 && errno != EINTR)
            return true; /* the next call says what is wrong */
        if (ready > 0 && !PQconsumeInput(link->pg))
            return true;
    }
    return true;
}

/* Ends what runs on the link and reads the rest of it. A link that does not answer is closed later. */
static void cancel(struct postgres_link *link)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(link->pg);
    (void)PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
    uint64_t limit_ns = now_ns() + CANCEL_MS * NS_PER_MS;
    while (wait_until(link, limit_ns)) {
        PGresult *rest = PQgetResult(link->pg);
        if (!rest)
            return;
        PQclear(rest);
    }
    link->stale = true;
}

/* The next answer within the limit: false when time is up or the link broke. *answer NULL: the end. */
static bool next_answer(struct postgres_link *link, uint64_t limit_ns, PGresult **answer,
                        struct error *err)
{
    if (!wait_until(link, limit_ns)) {
        cancel(link);
        *answer = NULL;
        error_set(err, FAIL_BUSY, "PostgreSQL took longer than allowed");
        return error_remedy(err, "ask for a shorter time range, or fewer groups; look for locks "
                                 "in pg_stat_activity");
    }
    *answer = PQgetResult(link->pg);
    return true;
}

bool postgres_read_answers(struct postgres_link *link, bool sent, uint64_t limit_ns,
                           struct error *err)
{
    PGresult *answer;
    bool ok = true;
    if (!sent)
        return fail(link, NULL, err);
    for (;;) {
        if (!next_answer(link, limit_ns, &answer, err))
            return false;
        if (!answer)
            return ok;
        ExecStatusType status = PQresultStatus(answer);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            PQclear(answer);
        else
            ok = fail(link, answer, err);
    }
}

bool postgres_run(struct postgres_link *link, const char *sql, struct error *err)
{
    uint64_t limit_ns = limit_of(link);
    link->met_another = false;
    return postgres_read_answers(link, PQsendQuery(link->pg, sql) == 1, limit_ns, err);
}

bool postgres_begin_copy(struct postgres_link *link, const char *sql, uint64_t *limit_ns,
                         struct error *err)
{
    PGresult *answer;
    *limit_ns = limit_of(link);
    link->met_another = false;
    if (!PQsendQuery(link->pg, sql))
        return fail(link, NULL, err);
    if (!next_answer(link, *limit_ns, &answer, err))
        return false;
    if (PQresultStatus(answer) != PGRES_COPY_IN) {
        struct error ignored;
        fail(link, answer, err);
        (void)postgres_read_answers(link, true, *limit_ns, &ignored);
        return false;
    }
    PQclear(answer);
    return true;
}

/* ---- Prepared statements ---- */

void postgres_forget_prepared(struct postgres_link *link)
{
    for (unsigned i = 0; i < PREPARED_MAX; i++) {
        free(link->prepared[i].sql);
        link->prepared[i] = (struct prepared){.sql = NULL};
    }
    link->prepared_count = 0;
}

static unsigned place_of(const struct postgres_link *link, const char *sql)
{
    uint32_t hash = 2166136261u;
    for (const char *c = sql; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    unsigned at = hash % PREPARED_MAX;
    while (link->prepared[at].sql && strcmp(link->prepared[at].sql, sql) != 0)
        at = (at + 1) % PREPARED_MAX;
    return at;
}

/* Parameters are $1 there; ?1, as SQLite knows them, is understood, too. The caller frees. */
static char *with_dollars(const char *sql)
{
    char *text = xstrdup(sql);
    for (char *at = text; (at = strchr(at, '?')) != NULL; at++)
        if (at[1] >= '1' && at[1] <= '9')
            *at = '$';
    return text;
}

/* Writes the name by which the server knows the statement, after telling it when it does not. */
static bool name_of(struct postgres_query *q, const Oid *types, char name[16], struct error *err)
{
    struct postgres_link *link = q->link;
    unsigned at = place_of(link, q->sql);
    if (link->prepared[at].sql) {
        snprintf(name, 16, "s%u", link->prepared[at].number);
        return true;
    }
    if (link->prepared_count >= PREPARED_MAX / 2) {
        link->stale = true; /* more texts than a program has: not from constants. Starts anew. */
        name[0] = '\0';
    } else {
        snprintf(name, 16, "s%u", link->prepared_count);
    }
    char *text = with_dollars(q->sql);
    bool sent = PQsendPrepare(link->pg, name, text, q->count, types);
    free(text);
    if (!sent)
        return fail(link, NULL, err);
    PGresult *answer, *end;
    uint64_t limit_ns = limit_of(link);
    if (!next_answer(link, limit_ns, &answer, err))
        return false;
    bool ok = PQresultStatus(answer) == PGRES_COMMAND_OK;
    if (!ok)
        fail(link, answer, err);
    else
        PQclear(answer);
    if (!next_answer(link, limit_ns, &end, err))
        return false;
    PQclear(end);
    if (ok && name[0])
        link->prepared[at] =
            (struct prepared){.sql = xstrdup(q->sql), .number = link->prepared_count++};
    return ok;
}

struct postgres_query *postgres_prepare(struct postgres_link *link, const char *sql)
{
    struct postgres_query *q = xcalloc(1, sizeof *q);
    q->link = link;
    q->sql = sql;
    return q;
}

struct postgres_query *postgres_prepare_once(struct postgres_link *link, const char *sql)
{
    struct postgres_query *q = xcalloc(1, sizeof *q);
    q->link = link;
    q->sql = q->copy = with_dollars(sql);
    return q;
}

/* Reads what is left of a statement; a long rest is cancelled rather than read. */
static void end(struct postgres_query *q)
{
    enum { REST = 64 };
    PQclear(q->row);
    q->row = NULL;
    for (int i = 0; q->running; i++) {
        struct error ignored;
        PGresult *answer = NULL;
        if (i == REST) {
            cancel(q->link);
            break;
        }
        if (!next_answer(q->link, q->limit_ns, &answer, &ignored))
            break;
        q->running = answer != NULL;
        PQclear(answer);
    }
    q->running = false;
}

void postgres_finalize(struct postgres_query *q)
{
    if (!q)
        return;
    end(q);
    for (int i = 0; i < q->count; i++)
        free(q->parameters[i].repaired);
    free(q->parameters);
    free(q->copy);
    free(q);
}

/* ---- Parameters ---- */

static struct parameter *parameter(struct postgres_query *q, int at, Oid type)
{
    if (at < 1 || at > PARAMETERS_MAX)
        abort(); /* a statement with more is a mistake in this program */
    if (at > q->capacity) {
        int capacity = at < 8 ? 8 : 2 * at;
        q->parameters = xrealloc(q->parameters, (size_t)capacity * sizeof *q->parameters);
        memset(q->parameters + q->capacity, 0,
               (size_t)(capacity - q->capacity) * sizeof *q->parameters);
        q->capacity = capacity;
    }
    if (at > q->count)
        q->count = at;
    struct parameter *p = &q->parameters[at - 1];
    free(p->repaired);
    *p = (struct parameter){.type = type};
    return p;
}

static void put_number(struct parameter *p, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        p->number[i] = (char)(number >> (56 - 8 * i));
    p->is_number = true;
    p->len = 8;
}

void postgres_bind_int(struct postgres_query *q, int at, int64_t number)
{
    put_number(parameter(q, at, TYPE_BIGINT), (uint64_t)number);
}

void postgres_bind_count(struct postgres_query *q, int at, int64_t number)
{
    struct parameter *p = parameter(q, at, TYPE_BIGINT);
    if (number >= 0)
        put_number(p, (uint64_t)number);
}

void postgres_bind_double(struct postgres_query *q, int at, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_number(parameter(q, at, TYPE_DOUBLE), bits);
}

static bool is_clean(struct bytes text)
{
    for (size_t at = 0; at < text.len;) {
        bool valid = text.data[at] != 0;
        at += valid ? utf8_step(bytes_make(text.data + at, text.len - at), &valid) : 1;
        if (!valid)
            return false;
    }
    return true;
}

void postgres_bind_text(struct postgres_query *q, int at, struct bytes text)
{
    struct parameter *p = parameter(q, at, TYPE_TEXT);
    if (!is_clean(text)) {
        struct buffer repaired = {.max_bytes = SIZE_MAX};
        if (!utf8_append_clean(text, &repaired))
            abort(); /* without a ceiling it is memory that is gone */
        p->repaired = (char *)repaired.data;
        text = buffer_bytes(&repaired);
    }
    p->value = text.len ? (const char *)text.data : "";
    p->len = (int)text.len;
}

void postgres_bind_raw(struct postgres_query *q, int at, unsigned type, struct bytes value)
{
    struct parameter *p = parameter(q, at, type);
    p->value = value.len ? (const char *)value.data : "";
    p->len = (int)value.len;
}

void postgres_bind_blob(struct postgres_query *q, int at, struct bytes blob)
{
    postgres_bind_raw(q, at, TYPE_BYTEA, blob);
}

void postgres_bind_null(struct postgres_query *q, int at, unsigned type)
{
    parameter(q, at, type);
}

/* ---- Running ---- */

static bool send(struct postgres_query *q, struct error *err)
{
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX];
    Oid types[PARAMETERS_MAX];
    char name[16] = "";
    q->link->met_another = false;
    q->changes = 0;
    for (int i = 0; i < q->count; i++) {
        values[i] = q->parameters[i].is_number ? q->parameters[i].number : q->parameters[i].value;
        lengths[i] = q->parameters[i].len;
        types[i] = q->parameters[i].type;
        formats[i] = BINARY;
    }
    if (!q->copy && !name_of(q, types, name, err))
        return false;
    q->limit_ns = limit_of(q->link);
    bool sent = q->copy ? PQsendQueryParams(q->link->pg, q->sql, q->count, types, values, lengths,
                                            formats, BINARY)
                        : PQsendQueryPrepared(q->link->pg, name, q->count, values, lengths, formats,
                                              BINARY);
    if (!sent || !PQsetSingleRowMode(q->link->pg))
        return fail(q->link, NULL, err);
    q->running = true;
    return true;
}

/* The last answer but the end: how it went. */
static bool finish(struct postgres_query *q, PGresult *answer, struct error *err)
{
    ExecStatusType status = PQresultStatus(answer);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (ok) {
        q->changes = strtoull(PQcmdTuples(answer), NULL, 10);
        PQclear(answer);
    } else {
        fail(q->link, answer, err);
    }
    end(q);
    return ok;
}

bool postgres_next(struct postgres_query *q, bool *row, struct error *err)
{
    PGresult *answer;
    *row = false;
    PQclear(q->row);
    q->row = NULL;
    if (!q->running && !send(q, err))
        return false;
    if (!q->link->until_ns)
        q->limit_ns = limit_of(q->link); /* every row counts as an answer */
    if (!next_answer(q->link, q->limit_ns, &answer, err)) {
        q->running = false;
        return false;
    }
    if (PQresultStatus(answer) != PGRES_SINGLE_TUPLE)
        return finish(q, answer, err);
    q->row = answer;
    *row = true;
    return true;
}

bool postgres_do(struct postgres_query *q, struct error *err)
{
    bool row = true, ok = true;
    while (ok && row)
        ok = postgres_next(q, &row, err);
    return ok;
}

uint64_t postgres_changes(const struct postgres_query *q)
{
    return q->changes;
}

/* ---- Columns ---- */

bool postgres_is_null(const struct postgres_query *q, int column)
{
    return PQgetisnull(q->row, 0, column) != 0;
}

struct bytes postgres_bytes_at(const struct postgres_query *q, int column)
{
    return bytes_make(PQgetvalue(q->row, 0, column), (size_t)PQgetlength(q->row, 0, column));
}

int64_t postgres_int_at(const struct postgres_query *q, int column)
{
    struct bytes raw = postgres_bytes_at(q, column);
    if (raw.len == 0 || raw.len > 8)
        return 0; /* NULL */
    uint64_t number = raw.data[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < raw.len; i++)
        number = number << 8 | raw.data[i];
    return (int64_t)number;
}

int64_t postgres_count_at(const struct postgres_query *q, int column)
{
    return postgres_is_null(q, column) ? -1 : postgres_int_at(q, column);
}

double postgres_double_at(const struct postgres_query *q, int column)
{
    double number;
    uint64_t bits = (uint64_t)postgres_int_at(q, column);
    memcpy(&number, &bits, sizeof number);
    return number;
}
