/* What every page has around its content: head, navigation, and the answer's headers. */
#ifndef SERVER_PORTAL_FRAME_H
#define SERVER_PORTAL_FRAME_H

#include "server/portal/html.h"
#include "server/router/router.h"

enum page_tab {
    TAB_OVERVIEW,
    TAB_REPORTS,
    TAB_MESSAGES,
    TAB_FLEET,
    TAB_INTEGRATIONS,
    TAB_COVERAGE,
    TAB_NONE, /* logged out */
};

/* Up to and including the page's <h1>. `call` tells who looks; pages within a tab keep its mark. */
void page_open(struct page *page, const struct route_call *call, enum page_tab tab,
               const char *title);

/* Ends the page and answers. Without scripts nothing is lost but the drawn charts. */
void page_answer(struct page *page, struct http_exchange *exchange, int status);

/* Answers with a sheet to keep; `disposition` names the file. */
void page_answer_csv(struct http_exchange *exchange, const char *disposition, struct bytes csv);

/* A sentence in the place of what could not be shown. */
void page_put_problem(struct page *page, const char *text);

/* A page that says only what is wrong: 404, 403, 503. */
void page_answer_problem(struct route_call *call, enum page_tab tab, int status, const char *title,
                         const char *text);

/* The hidden field that every form which changes something repeats. */
void page_put_csrf(struct page *page, const struct route_call *call);

#endif
