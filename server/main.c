/* claude-telemetry-server: picks the command. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/commands.h"

static const struct {
    const char *first, *second; /* second NULL: a command of one word */
    int arguments;              /* further words */
    command *run;
} commands[] = {
    {"serve", NULL, 0, command_serve},
    {"system", "create", 1, command_system_create},
    {"system", "list", 0, command_system_list},
    {"token", "create", 0, command_token_create},
    {"token", "list", 0, command_token_list},
    {"token", "revoke", 1, command_token_revoke},
    {"enrollment-secret", "create", 0, command_secret_create},
    {"enrollment-secret", "list", 0, command_secret_list},
    {"enrollment-secret", "revoke", 1, command_secret_revoke},
    {"device", "list", 0, command_device_list},
    {"device", "remove", 1, command_device_remove},
    {"user", "create", 0, command_user_create},
    {"user", "list", 0, command_user_list},
    {"user", "role", 0, command_user_role},
    {"user", "password", 0, command_user_password},
    {"user", "logout", 0, command_user_logout},
    {"user", "delete", 0, command_user_delete},
    {"import", "run", 0, command_import_run},
    {"import", "status", 0, command_import_status},
    {"retention", "run", 0, command_retention_run},
    {"erase", NULL, 0, command_erase},
    {"backup", NULL, 0, command_backup},
    {"check-config", NULL, 0, command_check_config},
    {"audit", "list", 0, command_audit_list},
    {"audit", "verify", 0, command_audit_verify},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static bool is_said(size_t i, const struct options *o)
{
    return o->word_count > 0 && strcmp(o->words[0], commands[i].first) == 0 &&
           (!commands[i].second ||
            (o->word_count > 1 && strcmp(o->words[1], commands[i].second) == 0));
}

static command *find_command(const struct options *o, struct error *err)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!is_said(i, o))
            continue;
        int expected = (commands[i].second ? 2 : 1) + commands[i].arguments;
        if (o->word_count == expected)
            return commands[i].run;
        error_set(err, FAIL_INVALID, "'%s%s%s' takes %d more word%s", commands[i].first,
                  commands[i].second ? " " : "", commands[i].second ? commands[i].second : "",
                  commands[i].arguments, commands[i].arguments == 1 ? "" : "s");
        error_remedy(err, "see " PROGRAM " --help");
        return NULL;
    }
    if (o->word_count == 0)
        error_set(err, FAIL_INVALID, "no command given");
    else
        error_set(err, FAIL_INVALID, "'%s%s%s' is no command", o->words[0],
                  o->word_count > 1 ? " " : "", o->word_count > 1 ? o->words[1] : "");
    error_remedy(err, "see " PROGRAM " --help");
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options;
    struct settings settings;
    struct error err = {0};
    if (!options_parse(argc, argv, &options, &err))
        return command_fail(&err);
    if (options.help || (options.word_count > 0 && strcmp(options.words[0], "help") == 0)) {
        options_print_help();
        return EXIT_DONE;
    }
    if (options.version) {
        printf("%s %s\n", PROGRAM, CT_VERSION);
        return EXIT_DONE;
    }
    command *run = find_command(&options, &err);
    if (!run || !settings_load(&options, &settings, &err))
        return command_fail(&err);
    if (run != command_check_config && !settings_make_data(&settings, &err)) {
        settings_clear(&settings);
        return command_fail(&err);
    }
    umask(077); /* what it writes holds hashes of secrets, and people's work */
    int code = run(&options, &settings);
    settings_clear(&settings);
    return error_check_output(PROGRAM, code);
}
