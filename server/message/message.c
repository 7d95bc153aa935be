#include "server/message/message.h"

#include <stddef.h>

static const char *const TYPE_NAMES[MESSAGE_TYPE_COUNT] = {
    [MESSAGE_GENERATION] = "ai.generation",
    [MESSAGE_TOOL] = "ai.tool",
    [MESSAGE_DECISION] = "ai.decision",
    [MESSAGE_PROMPT] = "ai.prompt",
    [MESSAGE_RESPONSE] = "ai.response",
    [MESSAGE_ERROR] = "ai.error",
    [MESSAGE_INTERACTION] = "ai.interaction",
    [MESSAGE_EVENT] = "ai.event",
    [MESSAGE_LOG] = "log",
    [MESSAGE_SPAN] = "span",
    [MESSAGE_HEARTBEAT] = "agent.heartbeat",
    [MESSAGE_DOCTOR] = "agent.doctor",
};

const char *message_type_name(enum message_type type)
{
    return TYPE_NAMES[type];
}

bool message_type_of_name(struct bytes name, enum message_type *out)
{
    for (size_t i = 0; i < MESSAGE_TYPE_COUNT; i++)
        if (bytes_equal_text(name, TYPE_NAMES[i])) {
            *out = (enum message_type)i;
            return true;
        }
    return false;
}
