/*
 * What one of Anthropic's own APIs tells about one actor's UTC day, whichever API it was.
 *
 *   page (JSON) ─▶ api_page_read ─▶ struct api_usage, one by one ─▶ store
 *
 * Field names, units and limits are those of the vendor's references:
 *   Claude Code Analytics Admin API   GET /v1/organizations/usage_report/claude_code
 *   Enterprise Analytics API          GET /v1/organizations/analytics/users, /user_usage_report,
 * /user_cost_report usage and cost analytics (beta)   GET /v1/organizations/analytics/usage, /cost
 *
 * Pure: any thread.
 */
#ifndef SERVER_IMPORTERS_API_USAGE_H
#define SERVER_IMPORTERS_API_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

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

/* `row` is borrowed for the call. False stops the page. */
typedef bool api_usage_visit(void *context, const struct api_usage *row);

struct api_page {
    char next_page[1024];       /* cursor of the next page; "" on the last */
    char data_refreshed_at[40]; /* RFC 3339; "" where the report does not tell */
    uint32_t rows;              /* visited */
    uint32_t skipped;           /* rows of other products, or without an actor we can name */
    char drift[256];            /* what does not fit the documented schema; "" when nothing */
};

/*
 * Reads one page. `day` is the day asked for: the reports that tell none get it. FAIL_INVALID when
 * the body is not this report's page (an HTML error page, a cut-off body): then nothing may be
 * kept.
 */
MUST_USE bool api_page_read(enum api_report report, const char *day, struct bytes body,
                            api_usage_visit *visit, void *context, struct api_page *out,
                            struct error *err);

/*
 * A decimal number of cents, "41280.000000" or 1025, as USD x 10^8. Exact: false when it has more
 * than six decimals that are not zero, an exponent, or does not fit.
 */
MUST_USE bool api_cents_to_1e8_usd(struct bytes text, int64_t *out);

/* The vendor's error body {"type":"error","error":{"type","message"},"request_id"}: its message,
 * cleaned to one line, or "" when the body is something else. */
void api_error_message(struct bytes body, char *out, size_t size);

#endif
