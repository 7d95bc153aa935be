/* Stands in for agent and doctor where they are not built for Windows: a service that runs until it is
 * stopped; `revert` leaves C:\reverted; else it prints its name and version. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static SERVICE_STATUS_HANDLE handle;
static HANDLE stop;

static void say(DWORD state)
{
    SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, state, SERVICE_ACCEPT_STOP, 0, 0, 0, 0};
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI control(DWORD code, DWORD type, void *data, void *context)
{
    (void)type, (void)data, (void)context;
    if (code == SERVICE_CONTROL_STOP)
        SetEvent(stop);
    return NO_ERROR;
}

static void WINAPI serve(DWORD count, char **words)
{
    (void)count;
    stop = CreateEventA(NULL, TRUE, FALSE, NULL);
    handle = RegisterServiceCtrlHandlerExA(words[0], control, NULL);
    say(SERVICE_RUNNING);
    WaitForSingleObject(stop, INFINITE);
    say(SERVICE_STOPPED);
}

int main(int count, char **words)
{
    if (count > 1 && strcmp(words[1], "revert") == 0)
        return fclose(fopen("C:\\reverted", "w"));
    SERVICE_TABLE_ENTRYA table[] = {{"", serve}, {NULL, NULL}};
    if (count > 1 && strcmp(words[1], "run") == 0)
        return !StartServiceCtrlDispatcherA(table);
    printf("stand-in\n");
    return 0;
}
