/* claude-telemetry-doctor: the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "doctor/bundle.h"
#include "doctor/mend.h"
#include "doctor/patient_fs.h"
#include "doctor/probe.h"
#include "doctor/redact.h"
#include "doctor/remedy.h"
#include "doctor/report.h"
#include "doctor/run.h"
#include "doctor/scene.h"
#include "doctor/send.h"
#include "platform/platform.h"
#include "platform/processes.h"

#define DOCTOR_PROGRAM "claude-telemetry-doctor"

extern char **environ;

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, PATH_BYTES = 4096 };

struct command_line {
    const char *config;
    const char *root;
    char *only; /* owned: the words of every --only */
    const char *bundle;
    bool json, verbose, list, fix, send, hide_emails;
};

static const char help[] =
    "usage: claude-telemetry-doctor [OPTION...]\n\n"
    "Finds out why Claude Code's telemetry does not arrive, and says how to mend it.\n"
    "Needs no agent running; as an ordinary user it leaves out what takes more rights to see.\n\n"
    "  --only ID,...  run these checks only; the beginning of an id picks all below it\n"
    "  --fix          repair what is safe: the agent's settings, and who may read them\n"
    "  --bundle FILE  write an archive for support (.tar.gz), without secrets and prompts\n"
    "  --hide-emails  in the bundle, also without the names in e-mail addresses\n"
    "  --send         send the report to the server, with this device's token\n"
    "  --list         print every check's id and title, run none\n"
    "  --verbose      also tell what was seen where all is well, and every variable\n"
    "  --config FILE  the agent's configuration; by default agent.yaml in the system's place\n"
    "  --root DIR     take every absolute system path below DIR\n"
    "  --json         print JSON (docs/doctor-report.schema.json)\n"
    "  --help         this text\n"
    "  --version      name and version\n\n"
    "Exit code: 0 nothing failed, 1 at least one check failed, 2 wrong usage.\n";

static int usage_error(const char *cause, const char *subject, const char *fix)
{
    struct error err = {0};
    error_set(&err, FAIL_INVALID, "%s '%s'", cause, subject);
    error_remedy(&err, "%s", fix);
    error_print(DOCTOR_PROGRAM, &err);
    return EXIT_USAGE;
}

/* The value of "--name VALUE" or "--name=VALUE"; NULL when this is another option. */
static const char *value_of(const char *name, int argc, char **argv, int *at, bool *missing)
{
    size_t len = strlen(name);
    if (strncmp(argv[*at], name, len) != 0)
        return NULL;
    if (argv[*at][len] == '=')
        return argv[*at] + len + 1;
    if (argv[*at][len] != '\0')
        return NULL;
    *missing = *at + 1 >= argc;
    return *missing ? "" : argv[++*at];
}

static bool take_only(struct command_line *line, int argc, char **argv, int *at, bool *missing)
{
    const char *value = value_of("--only", argc, argv, at, missing);
    if (!value)
        return false;
    char *all = line->only ? xasprintf("%s,%s", line->only, value) : xstrdup(value);
    free(line->only);
    line->only = all;
    return true;
}

static bool take_value(struct command_line *line, int argc, char **argv, int *at, bool *missing)
{
    if (take_only(line, argc, argv, at, missing))
        return true;
    const struct {
        const char *name;
        const char **into;
    } options[] = {
        {"--config", &line->config},
        {"--root", &line->root},
        {"--bundle", &line->bundle},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *value = value_of(options[i].name, argc, argv, at, missing);
        if (value) {
            *options[i].into = value;
            return true;
        }
    }
    return false;
}

static bool take_flag(struct command_line *line, const char *word)
{
    const struct {
        const char *name;
        bool *into;
    } flags[] = {
        {"--json", &line->json}, {"--verbose", &line->verbose},
        {"--list", &line->list}, {"--fix", &line->fix},
        {"--send", &line->send}, {"--hide-emails", &line->hide_emails},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(word, flags[i].name) == 0) {
            *flags[i].into = true;
            return true;
        }
    return false;
}

static void print_check(void *context, const struct check *check)
{
    (void)context;
    printf("%-32s %s\n", check->id, check->title);
}

/* A line that overwrites itself while the checks run. */
static void show_progress(void *context, size_t done, size_t count)
{
    (void)context;
    fprintf(stderr, "\r%zu of %zu checks%s", done, count, done == count ? "\r\033[K" : "");
    fflush(stderr);
}

static bool compose(const struct report *report, const struct command_line *line,
                    struct buffer *out)
{
    if (line->json)
        return report_put_json(report, out);
    struct report_style style = {.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                                 .verbose = line->verbose};
    report_print(report, &style, out);
    return true;
}

static void print(const struct report *report, const struct command_line *line)
{
    struct buffer text = {.max_bytes = REPORT_BYTES},
                  clean = {.max_bytes = 2 * (size_t)REPORT_BYTES};
    struct secrets secrets = {0};
    secrets_collect(&secrets, report->scene);
    struct redact_options redaction = {.secrets = &secrets};
    if (compose(report, line, &text) && redact(buffer_bytes(&text), &redaction, &clean))
        fwrite(clean.data, 1, clean.len, stdout);
    secrets_clear(&secrets);
    buffer_clear(&text);
    buffer_clear(&clean);
}

/* How long a look at the disk may take: a network folder may answer never. */
enum { DISK_LIMIT_MS = 2000 };

/* What there is to see, and what the checks say of it. */
struct examination {
    struct patient_fs *disk;
    struct scene *scene;
    struct probes *probes;
    struct run run;
};

static bool examine(const struct command_line *line, struct examination *e,
                    char unknown[CHECK_ID_BYTES])
{
    char folder[PATH_BYTES];
    bool is_machine = strcmp(line->root, "/") == 0;
    bool show = !line->json && isatty(STDERR_FILENO);
    struct scene_options options = {.root = line->root,
                                    .config_path = line->config,
                                    .uid = platform_own_uid(),
                                    .is_administrator = platform_is_administrator(),
                                    .environment = (const char *const *)environ,
                                    .project = is_machine ? getcwd(folder, sizeof folder) : NULL};
    e->disk = patient_fs_create(&fs_real, DISK_LIMIT_MS);
    e->scene = scene_create(&options, patient_fs_table(e->disk), &platform_clock);
    e->scene->probes = e->probes = probes_create(e->scene);
    return run_checks(e->scene, line->only, show ? show_progress : NULL, NULL, RUN_LIMIT_MS,
                      &e->run, unknown);
}

static void examination_clear(struct examination *e)
{
    if (e->run.is_complete) { /* else a thread that is late still looks at it */
        probes_destroy(e->probes);
        scene_destroy(e->scene);
        patient_fs_destroy(e->disk);
    }
    run_clear(&e->run);
}

/* Repairs, and looks again when that changed something. */
static void repair(const struct command_line *line, struct examination *e, struct mending *mending)
{
    char unknown[CHECK_ID_BYTES], rights[REMEDY_BYTES];
    mend(e->scene, &e->run, mending);
    for (size_t i = 0; i < mending->failed_count; i++) {
        struct error err = {0};
        error_set(&err, FAIL_DENIED, "%s", mending->failed[i]);
        error_remedy(&err, "do what the check's own fix says, or %s",
                     remedy(REMEDY_GET_RIGHTS, NULL, rights));
        error_print(DOCTOR_PROGRAM, &err);
    }
    if (mending->done_count == 0)
        return;
    examination_clear(e);
    (void)examine(line, e, unknown);
}

static int tell_outcome(const struct command_line *line, const struct report *report)
{
    struct error err = {0};
    int code = run_count(report->run, CHECK_FAIL) > 0 ? EXIT_FAILED : EXIT_DONE;
    print(report, line);
    if (line->bundle && !bundle_write(report, line->bundle, line->hide_emails, &err)) {
        error_print(DOCTOR_PROGRAM, &err);
        code = EXIT_FAILED;
    }
    if (line->send && !report_send(report, &err)) {
        error_print(DOCTOR_PROGRAM, &err);
        code = EXIT_FAILED;
    }
    return code;
}

static int act(const struct command_line *line)
{
    struct examination e = {0};
    struct mending mending = {0};
    char unknown[CHECK_ID_BYTES] = "";
    int code;
    if (examine(line, &e, unknown)) {
        if (line->fix)
            repair(line, &e, &mending);
        struct report report = {.scene = e.scene,
                                .run = &e.run,
                                .done = (const char *const *)mending.done,
                                .done_count = mending.done_count};
        code = tell_outcome(line, &report);
    } else
        code = usage_error("no check is called", unknown, "see --list for the ids");
    mending_clear(&mending);
    examination_clear(&e);
    return code;
}

static int read_and_act(int argc, char **argv, struct command_line *line)
{
    for (int i = 1; i < argc; i++) {
        bool missing = false;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return error_check_output(DOCTOR_PROGRAM, EXIT_DONE);
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts(DOCTOR_PROGRAM " " CT_VERSION);
            return error_check_output(DOCTOR_PROGRAM, EXIT_DONE);
        }
        if (take_value(line, argc, argv, &i, &missing)) {
            if (missing)
                return usage_error("a value is missing behind", argv[i], "see --help");
        } else if (!take_flag(line, argv[i]))
            return usage_error("unknown option", argv[i], "see --help");
    }
    if (line->list) {
        run_each_check(print_check, NULL);
        return error_check_output(DOCTOR_PROGRAM, EXIT_DONE);
    }
    if (line->only && line->only[strspn(line->only, RUN_ID_SEPARATORS)] == '\0')
        return usage_error("no check is named in", line->only, "see --list for the ids");
    struct fs_stat stat;
    struct error err = {0};
    if (line->config && !fs_real.stat(fs_real.disk, line->config, &stat, &err))
        return usage_error("there is no configuration", line->config, "give --config another file");
    bool is_machine = strcmp(line->root, "/") == 0; /* where that is no folder, too */
    if (!is_machine && (!fs_real.stat(fs_real.disk, line->root, &stat, &err) || !stat.is_directory))
        return usage_error("there is no folder", line->root, "give --root another folder");
    return error_check_output(DOCTOR_PROGRAM, act(line));
}

int main(int argc, char **argv)
{
    struct command_line line = {.root = "/"};
    int code = read_and_act(argc, argv, &line);
    free(line.only);
    return code;
}
