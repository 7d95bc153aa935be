/*
 * What Anthropic's own APIs told about one actor's UTC day, whichever API it was, and how far each
 * import has come. Part of the control state.
 *
 *   importer ──stage page by page──▶ (staged) ──finish──▶ days replaced whole ◀──visit── query
 *
 * A chunk is one question to one report: the days from `from` to before `to`. Its pages are staged with the
 * cursor of the next one, so a killed import goes on at the page after the last; finish() puts the chunk in the
 * place of what those days held before. Readers see whole chunks only.
 *
 * The rules of control.h hold: any thread, concurrent processes, times in wall clock nanoseconds.
 */
#ifndef SERVER_STORE_API_USAGE_H
#define SERVER_STORE_API_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct control_store;

enum api_report {
    API_ADMIN_CLAUDE_CODE, /* tokens, cost and activity per person, day and terminal */
    API_ENTERPRISE_USERS,  /* activity per person and day; no tokens, no cost */
    API_ENTERPRISE_USAGE,  /* tokens per person, day and model */
    API_ENTERPRISE_COST,   /* cost per person, day and model */
    API_ANALYTICS_USAGE,   /* the beta: tokens */
    API_ANALYTICS_COST,    /* the beta: cost */
    API_REPORT_COUNT,
};
const char *api_report_name(enum api_report report); /* "admin_claude_code" */

/* Which families of figures a report speaks of; the others stay untouched by it. */
enum api_family { API_TOKENS = 1, API_COST = 2, API_ACTIVITY = 4, API_EDITS = 8 };
unsigned api_report_families(enum api_report report);

enum { API_TEXT_BYTES = 256, API_DAY_BYTES = 11 };

/* Counts that the row does not tell are 0. Several rows of one actor and day add up. */
struct api_usage {
    char day[API_DAY_BYTES];         /* "2026-11-20", UTC */
    char email[API_TEXT_BYTES];      /* lower-cased; "" when the actor has none */
    char account_id[API_TEXT_BYTES]; /* "user_…": Claude Code's user.account_id; "" when not told */
    char api_key_name[API_TEXT_BYTES]; /* api_actor: the key's name or id; "" for persons */
    bool deleted;                      /* the account no longer exists */
    char model[API_TEXT_BYTES];        /* "" when the row is not per model */
    int64_t input_tokens, output_tokens, cache_read_tokens, cache_create_tokens; /* disjoint */
    int64_t cost_1e8_usd; /* USD x 10^8: exact for six decimals of a cent */
    int64_t requests, sessions, commits, pull_requests, lines_added, lines_removed;
    int64_t edits_accepted, edits_rejected;
};

/* `row` is borrowed for the call. Return false to stop. */
typedef bool api_usage_visit(void *context, const struct api_usage *row);

struct api_chunk {
    enum api_report report;
    char from[API_DAY_BYTES], to[API_DAY_BYTES]; /* to is exclusive */
};

/* How one report's importer is doing. */
struct api_import_state {
    uint64_t attempt_ns, success_ns; /* newest of each */
    bool rejected;                   /* the newest attempt failed by its key */
    char error[320]; /* of the newest attempt, in the API's own words; "" after a success */
    char newest_day[API_DAY_BYTES]; /* imported whole; "" when none */
    uint64_t rows;                  /* kept in all */
    char drift[256]; /* what the newest pages had that does not fit the documented schema */
};

struct control_api_usage_kind {
    /* The cursor of the next page of a chunk under way; *staged false when none is. */
    bool (*chunk_cursor)(struct control_store *store, const struct api_chunk *chunk, bool *staged,
                         struct buffer *cursor, struct error *err);
    /* Adds one page; `next` is the cursor behind it, "" after the last. All or nothing. */
    bool (*chunk_stage)(struct control_store *store, const struct api_chunk *chunk,
                        const struct api_usage *rows, size_t count, const char *next,
                        struct error *err);
    /* Forgets what is staged: the chain must start again. */
    bool (*chunk_drop)(struct control_store *store, const struct api_chunk *chunk,
                       struct error *err);
    /* Replaces the chunk's days by what is staged, and forgets unfinished chunks it covers. */
    bool (*chunk_finish)(struct control_store *store, const struct api_chunk *chunk,
                         uint64_t now_ns, struct error *err);

    /* Every row of the days from `from` to `to` (inclusive), by day. */
    bool (*visit)(struct control_store *store, const char *from, const char *to,
                  bool (*visit)(void *context, enum api_report report, uint64_t imported_ns,
                                const struct api_usage *row),
                  void *context, struct error *err);

    /* Each account id with the e-mail addresses it came with: by account, newest first. */
    bool (*accounts)(struct control_store *store,
                     bool (*visit)(void *context, const char *account_id, const char *email),
                     void *context, struct error *err);

    bool (*state_get)(struct control_store *store, enum api_report report,
                      struct api_import_state *out, struct error *err);
    /* Writes attempt, success, rejected, error and drift; the rest follows from the rows. */
    bool (*state_put)(struct control_store *store, enum api_report report,
                      const struct api_import_state *state, struct error *err);

    /* Deletes everything of a person, and keeps what later imports bring of them out. */
    bool (*erase)(struct control_store *store, const char *email, uint64_t *deleted,
                  struct error *err);
};

#endif
