/* Handlers of the portal's routes: private to server/portal. `context` is the struct portal. */
#ifndef SERVER_PORTAL_PAGES_H
#define SERVER_PORTAL_PAGES_H

#include "server/portal/portal.h"

route_handler portal_show_login;
route_handler portal_log_in;
route_handler portal_log_out;

#endif
