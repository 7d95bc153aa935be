/* What the portal's pages share. Private to server/portal; handlers' `context` is the struct portal. */
#ifndef SERVER_PORTAL_PAGES_H
#define SERVER_PORTAL_PAGES_H

#include "server/portal/frame.h"
#include "server/portal/portal.h"

struct portal {
    struct message_store *messages; /* as in struct portal_options */
    struct control_store *control;
    const struct integrations *integrations;
    struct login *login;
    struct sessions *sessions;
    const struct clock *clock;
    struct log *log;
    struct people *people; /* teams and pseudonyms */
    enum privacy viewers;
};

enum { PORTAL_TIME_LIMIT_MS = 5000 }; /* of one question to the store */

route_handler portal_show_login;
route_handler portal_log_in;
route_handler portal_log_out;
route_handler portal_show_overview;
route_handler portal_show_reports;
route_handler portal_serve_csv;
route_handler portal_show_messages;
route_handler portal_show_message;
route_handler portal_show_fleet;
route_handler portal_show_device;
route_handler portal_ask_doctor;
route_handler portal_show_integrations;
route_handler portal_show_coverage;
route_handler portal_serve_coverage_csv;

/* Says a failure of the store in the page, and the cause in the log. */
void portal_put_failure(const struct portal *portal, struct page *page, const char *what,
                        const struct error *err);

/* Answers that there is no sheet, and why; what is the server's own fault goes to the log. */
void portal_answer_csv_failure(const struct portal *portal, struct route_call *call,
                               const struct error *err);

#endif
