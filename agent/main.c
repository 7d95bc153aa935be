/* claude-telemetry-agent: the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "core/config/nearest.h"

struct command {
    const char *name;
    int (*act)(const struct command_line *line);
    const char *actions; /* words that must follow, separated by blanks; NULL: none */
    const char *options; /* besides those that all take, separated by blanks */
    const char *help;
};

static const struct command commands[] = {
    {"run", command_run, NULL, "--no-settings",
     "Runs the service in the foreground: relay, settings, enrolment, heartbeat.\n"
     "SIGTERM drains and stops; SIGHUP reads the configuration again.\n\n"
     "  --no-settings  leave Claude Code's settings to `apply` (for a service without rights)\n"},
    {"apply", command_apply, NULL, "--dry-run --repair --json",
     "Writes Claude Code's settings once and prints what changed.\n\n"
     "  --dry-run      print what would change, write nothing\n"
     "  --repair       for the timer: counts, and leaves a file alone for longer and longer that\n"
     "                 another program keeps rewriting\n"},
    {"revert", command_revert, NULL, "--json", "Undoes what apply did, byte for byte.\n"},
    {"enroll", command_enroll, NULL, "--json",
     "Enrols this device with server.url and the enrolment secret, now. Enrolling again\n"
     "rotates the device's token.\n"},
    {"status", command_status, NULL, "--brief --json",
     "Shows how the running agent does. Exit code 1: not running, or not healthy.\n\n"
     "  --brief        one line\n"},
    {"spool", command_spool, "list verify export", "--json --output",
     "spool list       what waits on disk, and what was quarantined\n"
     "spool verify     reads every record and checks it; exit code 1 when one is damaged\n"
     "spool export     writes every request to a file of its own, as it would be sent\n\n"
     "  --output DIR   folder to export to; by default ./spool-export\n"},
    {"check-config", command_check_config, NULL, "--json --print-markdown --print-jamf-schema",
     "Checks the configuration and names every problem with file, line and key.\n"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const char general_help[] =
    "usage: claude-telemetry-agent [OPTION...] COMMAND\n\n"
    "Takes Claude Code's telemetry on this machine, keeps it on disk, and delivers it.\n\n"
    "  run            the service, in the foreground\n"
    "  apply          write Claude Code's settings once\n"
    "  revert         undo what apply did\n"
    "  enroll         get this device's token from the server\n"
    "  status         how the running agent does\n"
    "  spool          list, verify or export what waits on disk\n"
    "  check-config   check the configuration\n\n";
static const char option_help[] =
    "  --config FILE  configuration; by default agent.yaml in the system's place\n"
    "  --root DIR     take every absolute system path below DIR\n"
    "  --json         print JSON, where there is something to read\n"
    "  --help         this text, or a command's\n"
    "  --version      name and version\n";

static int usage_error(const char *cause, const char *subject, const char *fix)
{
    struct error err = {0};
    error_set(&err, FAIL_INVALID, "%s '%.80s'", cause, subject);
    error_remedy(&err, "%s", fix);
    error_print(AGENT_PROGRAM, &err);
    return EXIT_USAGE;
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; at && (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *nearest = commands[0].name;
    char fix[120];
    for (size_t i = 1; i < COMMAND_COUNT; i++)
        if (config_distance(name, commands[i].name) < config_distance(name, nearest))
            nearest = commands[i].name;
    snprintf(fix, sizeof fix, "'%s' is nearest; --help lists the commands", nearest);
    return usage_error("unknown command", name, fix);
}

static int print_help(const struct command *command)
{
    if (command)
        printf("usage: claude-telemetry-agent %s%s [OPTION...]\n\n%s%s%s", command->name,
               command->actions ? " ACTION" : "", command->help,
               strchr(command->help, '-') ? "" : "\n", option_help);
    else
        printf("%s%s", general_help, option_help);
    return EXIT_DONE;
}

/* What the words on the command line amount to. */
struct reading {
    struct command_line line;
    const struct command *command;
    bool help, version;
    const char *options[16]; /* given, to be checked against the command */
    size_t option_count;
};

static bool take_flag(struct reading *r, const char *name)
{
    static const struct {
        const char *name;
        size_t offset;
    } flags[] = {
        {"--json", offsetof(struct command_line, json)},
        {"--dry-run", offsetof(struct command_line, dry_run)},
        {"--repair", offsetof(struct command_line, repair)},
        {"--brief", offsetof(struct command_line, brief)},
        {"--no-settings", offsetof(struct command_line, no_settings)},
        {"--print-markdown", offsetof(struct command_line, print_markdown)},
        {"--print-jamf-schema", offsetof(struct command_line, print_jamf_schema)},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(flags[i].name, name) != 0)
            continue;
        *(bool *)((char *)&r->line + flags[i].offset) = true;
        return true;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return r->help = true;
    if (strcmp(name, "--version") == 0)
        return r->version = true;
    return false;
}

/* An option with a value: "--root DIR" or "--root=DIR". Returns words used; 0 when it is none. */
static int take_value(struct reading *r, int left, char **words)
{
    static const struct {
        const char *name;
        size_t offset;
    } options[] = {
        {"--config", offsetof(struct command_line, config)},
        {"--root", offsetof(struct command_line, root)},
        {"--output", offsetof(struct command_line, output)},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        size_t len = strlen(options[i].name);
        if (strncmp(words[0], options[i].name, len) != 0)
            continue;
        const char **value = (const char **)((char *)&r->line + options[i].offset);
        if (words[0][len] == '=') {
            *value = words[0] + len + 1;
            return 1;
        }
        if (words[0][len] == '\0' && left > 1) {
            *value = words[1];
            return 2;
        }
        if (words[0][len] == '\0')
            return -1;
    }
    return 0;
}

static int read_option(struct reading *r, int left, char **words, int *used)
{
    if (take_flag(r, words[0])) {
        *used = 1;
    } else {
        *used = take_value(r, left, words);
        if (*used < 0)
            return usage_error("no value after", words[0], "write one behind it");
        if (*used == 0)
            return usage_error("unknown option", words[0], "--help lists the options");
    }
    if (r->option_count < sizeof r->options / sizeof *r->options)
        r->options[r->option_count++] = words[0];
    return EXIT_DONE;
}

static int read_word(struct reading *r, const char *word)
{
    if (!r->command && !r->help && strcmp(word, "help") == 0) {
        r->help = true; /* "help apply" is "apply --help" */
        return EXIT_DONE;
    }
    if (!r->command) {
        r->command = find_command(word);
        return r->command ? EXIT_DONE : unknown_command(word);
    }
    if (!r->command->actions || r->line.action)
        return usage_error("unexpected argument", word, "--help shows the usage");
    if (!has_word(r->command->actions, word))
        return usage_error("unknown action", word,
                           "write spool list, spool verify or spool export");
    r->line.action = word;
    return EXIT_DONE;
}

/* Options that the command does not know are mistakes, not noise. */
static int check_options(const struct reading *r)
{
    for (size_t i = 0; i < r->option_count; i++) {
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(r->options[i], "="), r->options[i]);
        if (has_word("--config --root --help -h --version", name) ||
            has_word(r->command->options, name))
            continue;
        return usage_error("this command has no option", name,
                           "--help behind it lists its options");
    }
    if (r->command->actions && !r->line.action)
        return usage_error("no action after", r->command->name,
                           "write spool list, spool verify or spool export");
    return EXIT_DONE;
}

int command_fail(const struct error *err)
{
    error_print(AGENT_PROGRAM, err);
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct reading r = {.line = {.root = "/"}};
    for (int at = 1; at < argc;) {
        int used = 1;
        bool is_option = argv[at][0] == '-' && argv[at][1] != '\0';
        int failed =
            is_option ? read_option(&r, argc - at, argv + at, &used) : read_word(&r, argv[at]);
        if (failed)
            return failed;
        at += used;
    }
    if (r.version) {
        puts(AGENT_PROGRAM " " AGENT_VERSION);
        return error_check_output(AGENT_PROGRAM, EXIT_DONE);
    }
    if (r.help)
        return error_check_output(AGENT_PROGRAM, print_help(r.command));
    if (!r.command) {
        struct error err = {0};
        error_set(&err, FAIL_INVALID, "no command is given");
        error_remedy(&err, "write for example '%s run'; --help lists the commands", AGENT_PROGRAM);
        error_print(AGENT_PROGRAM, &err);
        return EXIT_USAGE;
    }
    int failed = check_options(&r);
    return failed ? failed : error_check_output(AGENT_PROGRAM, r.command->act(&r.line));
}
