#include "platform/events_windows.h"
#include "platform/windows_text.h"

#include <stdlib.h>

void event_report(enum event_kind kind, const char *text)
{
    /* As in events_windows.mc: the number, and above it how serious it is. */
    static const struct {
        WORD type;
        DWORD id;
    } kinds[] = {
        [EVENT_STARTED] = {EVENTLOG_INFORMATION_TYPE, 0x40000001},
        [EVENT_STOPPED] = {EVENTLOG_INFORMATION_TYPE, 0x40000002},
        [EVENT_FAILED] = {EVENTLOG_ERROR_TYPE, 0xC0000003},
    };
    HANDLE log = RegisterEventSourceW(NULL, L"claude-telemetry-agent");
    if (!log)
        return;
    WCHAR *wide = wide_of(text);
    const WCHAR *texts[] = {wide};
    ReportEventW(log, kinds[kind].type, 0, kinds[kind].id, NULL, 1, 0, texts, NULL);
    DeregisterEventSource(log);
    free(wide);
}
