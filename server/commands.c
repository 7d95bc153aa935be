#include "server/commands.h"

#include "server/options.h"

int command_fail(const struct error *err)
{
    error_print(PROGRAM, err);
    return err->kind == FAIL_INVALID ? EXIT_USAGE : EXIT_FAILED;
}

struct control_store *command_open_control(const struct settings *settings, struct error *err)
{
    struct control_store *store = control_store_open(settings->store, err);
    if (!store)
        error_remedy(err, "check --store, and that this user may write '%s'", settings->data);
    return store;
}

struct message_store *command_open_messages(const struct settings *settings, struct error *err)
{
    struct message_store *store = message_store_open(settings->messages, err);
    if (!store)
        error_remedy(err, "check --messages, and that this user may write '%s'", settings->data);
    return store;
}
