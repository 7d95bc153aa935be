/* claude-telemetry-doctor: the command line. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "doctor/probe.h"
#include "doctor/report.h"
#include "doctor/run.h"
#include "doctor/scene.h"
#include "platform/platform.h"
#include "platform/processes.h"

#define DOCTOR_PROGRAM "claude-telemetry-doctor"

extern char **environ;

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, PATH_BYTES = 4096 };

struct command_line {
    const char *config;
    const char *root;
    const char *only;
    bool json, verbose, list;
};

static const char help[] =
    "usage: claude-telemetry-doctor [OPTION...]\n\n"
    "Finds out why Claude Code's telemetry does not arrive, and says how to mend it.\n"
    "Needs no agent running; as an ordinary user it leaves out what only root may see.\n\n"
    "  --only ID,...  run these checks only; the beginning of an id picks all below it\n"
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

static bool take_value(struct command_line *line, int argc, char **argv, int *at, bool *missing)
{
    const struct {
        const char *name;
        const char **into;
    } options[] = {
        {"--config", &line->config},
        {"--root", &line->root},
        {"--only", &line->only},
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
        {"--json", &line->json},
        {"--verbose", &line->verbose},
        {"--list", &line->list},
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

static void print(const struct report *report, const struct command_line *line)
{
    struct buffer json = {.max_bytes = REPORT_BYTES};
    if (!line->json) {
        struct report_style style = {.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                                     .verbose = line->verbose};
        report_print(report, &style, stdout);
    } else if (report_put_json(report, &json))
        fwrite(json.data, 1, json.len, stdout);
    buffer_clear(&json);
}

static int examine(const struct command_line *line)
{
    char folder[PATH_BYTES], unknown[CHECK_ID_BYTES] = "";
    bool is_machine = strcmp(line->root, "/") == 0;
    struct scene_options options = {.root = line->root,
                                    .config_path = line->config,
                                    .uid = platform_own_uid(),
                                    .environment = (const char *const *)environ,
                                    .project = is_machine ? getcwd(folder, sizeof folder) : NULL};
    struct scene *scene = scene_create(&options, &fs_real, &platform_clock);
    struct probes *probes = probes_create(scene);
    struct run run;
    scene->probes = probes;
    bool show = !line->json && isatty(STDERR_FILENO);
    if (!run_checks(scene, line->only, show ? show_progress : NULL, NULL, RUN_LIMIT_MS, &run,
                    unknown)) {
        probes_destroy(probes);
        scene_destroy(scene);
        return usage_error("no check is called", unknown, "see --list for the ids");
    }
    struct report report = {.scene = scene, .run = &run};
    print(&report, line);
    int code = run_count(&run, CHECK_FAIL) > 0 ? EXIT_FAILED : EXIT_DONE;
    if (run.is_complete) { /* else a thread that is late still looks at it */
        probes_destroy(probes);
        scene_destroy(scene);
    }
    run_clear(&run);
    return code;
}

int main(int argc, char **argv)
{
    struct command_line line = {.root = "/"};
    for (int i = 1; i < argc; i++) {
        bool missing = false;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts(DOCTOR_PROGRAM " " CT_VERSION);
            return EXIT_DONE;
        }
        if (take_value(&line, argc, argv, &i, &missing)) {
            if (missing)
                return usage_error("a value is missing behind", argv[i], "see --help");
        } else if (!take_flag(&line, argv[i]))
            return usage_error("unknown option", argv[i], "see --help");
    }
    if (line.list) {
        run_each_check(print_check, NULL);
        return EXIT_DONE;
    }
    struct fs_stat stat;
    struct error err = {0};
    if (line.config && !fs_real.stat(fs_real.disk, line.config, &stat, &err))
        return usage_error("there is no configuration", line.config, "give --config another file");
    if (!fs_real.stat(fs_real.disk, line.root, &stat, &err) || !stat.is_directory)
        return usage_error("there is no folder", line.root, "give --root another folder");
    return examine(&line);
}
