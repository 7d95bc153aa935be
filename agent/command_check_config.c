/* check-config: every problem of the configuration, or that there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "core/config/describe.h"
#include "core/config/template.h"
#include "core/json/writer.h"

enum { DOCUMENT_BYTES = 512 * 1024 };

struct agent_config *command_load_config(const struct command_line *line)
{
    struct config_problems problems = {0};
    struct agent_config *config = agent_config_load(line->root, line->config, &fs_real, &problems);
    for (size_t i = 0; i < problems.count; i++)
        error_print(AGENT_PROGRAM, &problems.items[i]);
    config_problems_clear(&problems);
    return config;
}

static int print_document(bool made, struct buffer *text)
{
    if (made)
        fwrite(text->data, 1, text->len, stdout);
    buffer_clear(text);
    return made ? EXIT_DONE : EXIT_FAILED;
}

static const char *no_value(void *context, const char *name)
{
    (void)context;
    (void)name;
    return ""; /* only files and the environment are tried here */
}

/* Tries a template's files and environment; a missing one may still come, so it only warns. */
static void try_template(const char *key, const char *name, const char *text,
                         const struct command_line *line, struct config_problems *warnings)
{
    struct config_variables variables = {.value = no_value, .fs = &fs_real, .root = line->root};
    struct buffer out = {.max_bytes = CONFIG_TEMPLATE_FILE_BYTES};
    struct error err = {0};
    if (!config_template_expand(text, &variables, &out, &err)) {
        error_wrap(&err, "'%s.%s' of the destination has no value yet", key, name);
        config_problems_add(warnings, &err);
    }
    buffer_clear(&out);
}

/* The source that a person would look into. */
static const char *in_force(const struct agent_config *config)
{
    return config->managed && !config->file_exists ? config->managed : config->path;
}

static void find_warnings(const struct agent_config *config, const struct command_line *line,
                          struct config_problems *warnings)
{
    static const char *const maps[] = {"headers", "resource_attributes"};
    const struct config *values = config->values;
    struct error err = {0};
    if (!config->file_exists && !config->managed) {
        error_set(&err, FAIL_NOT_FOUND, "'%s' does not exist: the defaults hold", config->path);
        error_remedy(&err, "create it with at least 'destinations:'");
        config_problems_add(warnings, &err);
    } else if (config_section_count(values, "destinations") == 0) {
        error_set(&err, FAIL_NOT_FOUND, "there are no destinations: telemetry stays in the spool");
        error_remedy(&err, "add 'destinations%s with a name and an endpoint to '%s'",
                     config->file_exists ? ":'" : "'", in_force(config));
        config_problems_add(warnings, &err);
    }
    for (size_t i = 0; i < config_section_count(values, "destinations"); i++) {
        const struct config *destination = config_section_at(values, "destinations", i);
        for (size_t m = 0; m < sizeof maps / sizeof *maps; m++)
            for (size_t j = 0; j < config_map_count(destination, maps[m]); j++) {
                const char *text;
                const char *name = config_map_at(destination, maps[m], j, &text);
                try_template(maps[m], name, text, line, warnings);
            }
    }
}

static void put_problems(struct json_writer *w, const char *key,
                         const struct config_problems *problems)
{
    json_put_key(w, key);
    json_array_open(w);
    for (size_t i = 0; i < problems->count; i++) {
        json_object_open(w);
        json_member_string(w, "problem", problems->items[i].cause);
        json_member_string(w, "fix", problems->items[i].remedy);
        json_object_close(w);
    }
    json_array_close(w);
}

static int print_json(const struct agent_config *config, const struct config_problems *problems,
                      const struct config_problems *warnings)
{
    struct buffer out = {.max_bytes = DOCUMENT_BYTES};
    struct json_writer w = json_writer_make(&out);
    w.pretty = true;
    json_object_open(&w);
    json_member_bool(&w, "valid", config != NULL);
    if (config) {
        json_member_string(&w, "file", config->path);
        json_member_string(&w, "managed", config->managed); /* or null */
        json_member_string(&w, "hash", config->hash);
    }
    put_problems(&w, "problems", problems);
    put_problems(&w, "warnings", warnings);
    json_object_close(&w);
    bool made = json_writer_ok(&w) && buffer_append_byte(&out, '\n');
    int code = print_document(made, &out);
    return config ? code : EXIT_USAGE;
}

int command_check_config(const struct command_line *line)
{
    if (line->print_markdown || line->print_jamf_schema) {
        struct buffer out = {.max_bytes = DOCUMENT_BYTES};
        bool made = line->print_markdown ? config_describe_markdown(&agent_config_table, &out)
                                         : config_describe_jamf(&agent_config_table, &out);
        return print_document(made, &out);
    }

    struct config_problems problems = {0}, warnings = {0};
    struct agent_config *config = agent_config_load(line->root, line->config, &fs_real, &problems);
    int code = config ? EXIT_DONE : EXIT_USAGE;
    if (config)
        find_warnings(config, line, &warnings);
    if (line->json) {
        code = print_json(config, &problems, &warnings);
    } else {
        for (size_t i = 0; i < problems.count; i++)
            error_print(AGENT_PROGRAM, &problems.items[i]);
        for (size_t i = 0; i < warnings.count; i++)
            printf("warning: %s%s%s\n", warnings.items[i].cause,
                   warnings.items[i].remedy[0] ? "\n  fix: " : "", warnings.items[i].remedy);
        if (config)
            printf("%s: valid\n", in_force(config));
    }
    config_problems_clear(&problems);
    config_problems_clear(&warnings);
    agent_config_destroy(config);
    return code;
}
