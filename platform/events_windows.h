/* The system's event log, where administrators look first: what the service does as a whole; the rest is
 * in its own log. The words around the text are in events_windows.mc. For this folder only. */
#ifndef PLATFORM_EVENTS_WINDOWS_H
#define PLATFORM_EVENTS_WINDOWS_H

enum event_kind { EVENT_STARTED, EVENT_STOPPED, EVENT_FAILED };

void event_report(enum event_kind kind, const char *text);

#endif
