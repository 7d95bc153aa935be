/*
 * Reading one page of one of Anthropic's usage reports.
 *
 *   page (JSON) ─▶ api_page_read ─▶ struct api_usage, one by one ─▶ store
 *
 * Field names, units and limits are those of the vendor's references:
 *   Claude Code Analytics Admin API   GET /v1/organizations/usage_report/claude_code
 *   Enterprise Analytics API          GET /v1/organizations/analytics/users, user_usage_report, user_cost_report
 *   usage and cost analytics (beta)   GET /v1/organizations/analytics/usage, cost
 *
 * Pure: any thread.
 */
#ifndef SERVER_IMPORTERS_PAGE_H
#define SERVER_IMPORTERS_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "server/store/api_usage.h"

struct api_page {
    char next_page[1024];       /* cursor of the next page; "" on the last */
    char data_refreshed_at[40]; /* RFC 3339; "" where the report does not tell */
    uint32_t rows;              /* visited */
    uint32_t skipped;           /* rows of other products, or without an actor we can name */
    char drift[256];            /* what does not fit the documented schema; "" when nothing */
};

/*
 * Reads one page. `day` is the day asked for: the reports that tell none get it. FAIL_INVALID when
 * the body is not this report's page (an HTML error page, a cut-off body), FAIL_NOT_FOUND when no
 * row has a figure that the report is asked for: then nothing may be kept.
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
