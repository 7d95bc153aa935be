/* These systems take idle pages back by themselves. */
#include "platform/platform.h"

void platform_trim_memory(void)
{
}
