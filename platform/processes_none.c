/* macOS and Windows give no list of processes with what we need to programs without special rights. */
#include "platform/processes.h"

void platform_processes(const char *root, platform_process_visit *visit, void *context)
{
    (void)root;
    (void)visit;
    (void)context;
}
