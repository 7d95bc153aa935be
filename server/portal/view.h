/*
 * What a page is asked to show: days, filters and how people are named, all in the URL, so that
 * a view can be bookmarked and sent to a colleague.
 */
#ifndef SERVER_PORTAL_VIEW_H
#define SERVER_PORTAL_VIEW_H

#include "server/portal/pages.h"
#include "server/query/people.h"

struct sheet;

enum { VIEW_MAX_FILTERS = 8, VIEW_MAX_DAYS = 400, VIEW_DEFAULT_DAYS = 30 };

struct view {
    uint64_t from_ns, to_ns; /* whole UTC days, `to` exclusive */
    unsigned days;
    struct bytes system, model, person, team; /* empty: all */
    enum privacy names;                       /* as asked, or stricter where the role demands it */
    bool names_forced;                        /* the role sees no names */
    struct message_filter filters[VIEW_MAX_FILTERS]; /* of the four above */
    struct bytes filter_values[3];
    size_t filter_count;
    const struct sheet *models; /* every model of these days, when the page knows them; or NULL */
};

/*
 * Reads from, to or days, system, model, person, team, names; other parameters are the page's
 * own business. FAIL_INVALID or FAIL_DENIED says what is wrong with which.
 */
MUST_USE bool view_read(const struct portal *portal, struct route_call *call, struct view *out,
                        struct error *err);

/* The question's filters and time, with one of type in front when `type` is not NULL (borrowed). */
struct message_query view_query(struct view *view, const struct bytes *type);

/* Whether a person's figures of a model (either may be empty) pass the filters; systems aside. */
bool view_wants(const struct view *view, struct bytes person, struct bytes model);

/* "from=2026-10-22&to=…&system=…", escaped for an attribute. */
void view_put_parameters(struct page *page, const struct view *view);

/* The form that changes it, for a page at `path`; the page may put fields of its own in between. */
void view_open_form(struct page *page, const struct portal *portal, struct route_call *call,
                    const struct view *view, const char *path);
void view_close_form(struct page *page, const struct view *view, const char *path);

/* The same without filters, for a page that has none but days and names. */
void view_put_day_form(struct page *page, const struct view *view, const char *path);

/* Which days and filters these are, and what is left out. */
void view_put_summary(struct page *page, const struct view *view);

#endif
