/* enroll: one try at the server, now. A running agent takes over the token with SIGHUP. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/accounts.h"
#include "agent/command.h"
#include "agent/enroll/enroll.h"
#include "platform/platform.h"

struct trying {
    const struct command_line *line;
    struct loop *loop;
    struct accounts *accounts;
    char device_id[DEVICE_ID_BYTES];
    struct error err;
    int code;
};

static void put_users(void *context, struct json_writer *w)
{
    struct trying *t = context;
    accounts_put_users(t->accounts, w);
}

static void on_enrolled(void *context, const struct device *device)
{
    struct trying *t = context;
    snprintf(t->device_id, sizeof t->device_id, "%s", device->id);
    t->code = EXIT_DONE;
    loop_stop(t->loop);
}

static void on_failed(void *context, const struct error *err)
{
    struct trying *t = context;
    t->err = *err;
    loop_stop(t->loop);
}

static void try_once(struct trying *t, const struct config *values, const char *state_dir)
{
    char *url = agent_server_url(values, "");
    const char *secret = config_text(values, "server.enrollment_secret_file");
    const char *ca = config_text(values, "server.ca_file");
    char *ca_file = ca ? config_path_under(t->line->root, ca) : NULL;
    char *secret_file = secret ? config_path_under(t->line->root, secret) : NULL;
    struct http_client *client = NULL;
    if (!url || !secret_file) {
        error_set(&t->err, FAIL_INVALID, "'server.%s' is not set",
                  url ? "enrollment_secret_file" : "url");
        error_remedy(&t->err, "set it in the configuration");
        t->code = EXIT_USAGE;
    } else if ((client = http_client_create(t->loop, &t->err)) != NULL) {
        struct enroll_options options = {.server_url = url,
                                         .ca_file = ca_file,
                                         .secret_file = secret_file,
                                         .root = t->line->root,
                                         .state_dir = state_dir,
                                         .agent_version = AGENT_VERSION,
                                         .context = t,
                                         .put_users = put_users,
                                         .enrolled = on_enrolled,
                                         .failed = on_failed};
        struct enroll *enroll =
            enroll_create(t->loop, client, &options, &fs_real, &platform_clock, NULL);
        enroll_start(enroll);
        loop_run(t->loop);
        enroll_destroy(enroll);
    }
    http_client_destroy(client);
    free(ca_file);
    free(secret_file);
    free(url);
}

int command_enroll(const struct command_line *line)
{
    struct trying t = {.line = line, .code = EXIT_FAILED};
    char *state_dir = platform_state_dir(line->root);
    struct agent_config *config = command_load_config(line);
    if (!config) {
        free(state_dir);
        return EXIT_USAGE;
    }
    t.loop = loop_create(&t.err);
    if (t.loop)
        t.accounts = accounts_create(line->root, state_dir, true, &fs_real, &t.err);
    if (t.accounts) {
        accounts_refresh(t.accounts, config->values, NULL);
        try_once(&t, config->values, state_dir);
    }
    if (t.code == EXIT_DONE && line->json)
        printf("{\"device_id\": \"%s\"}\n", t.device_id);
    else if (t.code == EXIT_DONE)
        printf("enrolled as device %s\n", t.device_id);
    else
        error_print(AGENT_PROGRAM, &t.err);
    accounts_destroy(t.accounts);
    loop_destroy(t.loop);
    agent_config_destroy(config);
    free(state_dir);
    return t.code;
}
