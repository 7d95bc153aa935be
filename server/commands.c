#include "server/commands.h"

#include <stdio.h>

#include "core/config/describe.h"
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

int command_check_config(const struct options *o, const struct settings *s)
{
    (void)s; /* read without a problem, or this would not run */
    struct buffer out = {.max_bytes = MIB};
    if (o->print_markdown && config_describe_markdown(&server_config_table, &out))
        fwrite(out.data, 1, out.len, stdout);
    else
        printf(o->json ? "{\"problems\":[]}\n" : "the configuration is sound\n");
    buffer_clear(&out);
    return EXIT_DONE;
}
