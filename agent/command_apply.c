/* apply and revert: Claude Code's settings, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "agent/settings/drift.h"
#include "agent/settings_setup.h"
#include "agent/settings_status.h"
#include "agent/status_file.h"
#include "base/memory.h"
#include "core/json/members.h"
#include "core/json/writer.h"
#include "platform/platform.h"

enum { DIFF_BYTES = 4 * 1024 * 1024, DOCUMENT_BYTES = 8 * 1024 * 1024 };

/* Where the running relay listens; else where the configuration wants it. */
static uint16_t relay_port_now(const struct command_line *line, const struct config *values)
{
    const char *listen = config_text(values, "relay.listen");
    long port = strtol(strrchr(listen, ':') + 1, NULL, 10);
    struct buffer text = {0};
    struct error err = {0};
    char *run_dir = platform_run_dir(line->root);
    if (status_file_read(run_dir, &fs_real, &text, &err)) {
        cJSON *status = cJSON_ParseWithLength((const char *)text.data, text.len);
        uint64_t running = json_count_at(json_at(status, "relay"), "port");
        if (running > 0 && running <= 65535)
            port = (long)running;
        cJSON_Delete(status);
    }
    buffer_clear(&text);
    free(run_dir);
    return (uint16_t)port;
}

static const char *change_name(enum settings_change change)
{
    static const char *const names[] = {
        [SETTINGS_UNCHANGED] = "unchanged", [SETTINGS_CREATE] = "create",
        [SETTINGS_EDIT] = "edit",           [SETTINGS_REMOVE] = "remove",
        [SETTINGS_BLOCKED] = "blocked",
    };
    return names[change];
}

static void print_blocked(const struct settings_plan *plan)
{
    for (size_t i = 0; i < settings_plan_count(plan); i++) {
        struct settings_file file = settings_plan_file(plan, i);
        if (file.change == SETTINGS_BLOCKED)
            error_print(AGENT_PROGRAM, file.problem);
    }
}

static bool put_files(const struct settings_plan *plan, const struct settings_verdicts *verdicts,
                      struct json_writer *w)
{
    json_put_key(w, "files");
    json_array_open(w);
    for (size_t i = 0; i < settings_plan_count(plan); i++) {
        struct settings_file file = settings_plan_file(plan, i);
        json_object_open(w);
        json_put_key(w, "path");
        json_put_string(w, file.path);
        json_put_key(w, "user");
        json_put_string(w, file.user);
        json_put_key(w, "change");
        json_put_string(w, change_name(file.change));
        json_put_key(w, "problem");
        json_put_string(w, file.change == SETTINGS_BLOCKED ? file.problem->cause : NULL);
        json_object_close(w);
    }
    json_array_close(w);
    json_put_key(w, "notes");
    json_array_open(w);
    for (size_t i = 0; i < settings_plan_note_count(plan); i++)
        json_put_string(w, settings_plan_note(plan, i));
    json_array_close(w);
    settings_status_put_sources(verdicts, w);
    return json_writer_ok(w);
}

static void print_json(const struct settings_plan *plan, const struct settings_verdicts *verdicts,
                       const struct settings_result *result, const struct buffer *diff,
                       bool dry_run)
{
    struct buffer out = {.max_bytes = DOCUMENT_BYTES};
    struct json_writer w = json_writer_make(&out);
    w.pretty = true;
    json_object_open(&w);
    json_put_key(&w, "dry_run");
    json_put_bool(&w, dry_run);
    json_put_key(&w, "written");
    json_put_uint(&w, result->written);
    json_put_key(&w, "removed");
    json_put_uint(&w, result->removed);
    json_put_key(&w, "failed");
    json_put_uint(&w, result->failed);
    put_files(plan, verdicts, &w);
    json_put_key(&w, "diff");
    json_put_bytes(&w, buffer_bytes(diff));
    json_object_close(&w);
    if (json_writer_ok(&w))
        printf("%.*s\n", (int)out.len, (const char *)out.data);
    buffer_clear(&out);
}

static void print_text(const struct settings_plan *plan, const struct settings_verdicts *verdicts,
                       const struct settings_result *result, const struct buffer *diff,
                       bool dry_run)
{
    if (diff->len > 0)
        fwrite(diff->data, 1, diff->len, stdout);
    for (size_t i = 0; i < settings_plan_note_count(plan); i++)
        printf("note: %s\n", settings_plan_note(plan, i));
    for (size_t i = 0; i < verdicts->count; i++)
        printf("user '%s': %s\n", verdicts->list[i].user, verdicts->list[i].sentence);
    if (dry_run)
        printf("%zu of %zu files would change\n", settings_plan_pending(plan),
               settings_plan_count(plan));
    else
        printf("%zu files written, %zu removed, %zu of %zu as they should be already\n",
               result->written, result->removed,
               settings_plan_count(plan) - result->written - result->removed - result->failed,
               settings_plan_count(plan));
}

/* What this run knows and the service, which has no right to see for itself, is told. */
struct knowledge {
    const struct settings_setup *setup;
    const struct local_users *users;
    const struct drift *drift;
    const struct settings_verdicts *verdicts;
    const struct error *failure;
};

static void fill_people(const struct local_users *users, struct settings_status *out)
{
    out->people = xcalloc(users->count + 1, sizeof *out->people);
    for (size_t i = 0; i < users->count; i++)
        if (users->list[i].email)
            out->people[out->person_count++] =
                (struct settings_person){.local_user = xstrdup(users->list[i].name),
                                         .email = xstrdup(users->list[i].email),
                                         .source =
                                             xstrdup(identity_source_name(users->list[i].source))};
}

/* Nobody listens without a service. */
static void tell_service(const char *root, const struct knowledge *k)
{
    struct error err = {0};
    struct settings_status now = {.repairs_total = k->drift->repairs_total,
                                  .last_repair_ns = k->drift->last_ns};
    const struct drift_file *conflict = drift_conflict(k->drift);
    char *run_dir = platform_run_dir(root);
    snprintf(now.last_diff, sizeof now.last_diff, "%s", k->drift->last_diff);
    snprintf(now.error, sizeof now.error, "%s", k->failure->cause);
    if (conflict) {
        snprintf(now.conflict_path, sizeof now.conflict_path, "%s", conflict->path);
        now.next_try_ns = conflict->resume_ms * NS_PER_MS;
    }
    fill_people(k->users, &now);
    now.installs = k->setup->installs; /* lent, as the verdicts are */
    now.verdicts = *k->verdicts;
    if (!settings_status_write(run_dir, &fs_real, &now, &err) && err.kind != FAIL_NOT_FOUND &&
        err.kind != FAIL_DENIED)
        error_print(AGENT_PROGRAM, &err);
    now.installs = (struct claude_installs){0};
    now.verdicts = (struct settings_verdicts){0};
    settings_status_clear(&now);
    free(run_dir);
}

/* Nothing could even be planned: what was told before stays, with the reason beside it. */
static void tell_failure(const char *root, const struct error *failure)
{
    struct error err = {0};
    struct settings_status status;
    char *run_dir = platform_run_dir(root);
    (void)!settings_status_read(run_dir, &fs_real, &status, &err);
    snprintf(status.error, sizeof status.error, "%s", failure->cause);
    if (!settings_status_write(run_dir, &fs_real, &status, &err) && err.kind != FAIL_NOT_FOUND &&
        err.kind != FAIL_DENIED)
        error_print(AGENT_PROGRAM, &err);
    settings_status_clear(&status);
    free(run_dir);
}

static void print_conflict(const struct drift *drift, uint64_t now_ms)
{
    const struct drift_file *file = drift_conflict(drift);
    if (file && file->resume_ms > now_ms)
        printf("note: another program keeps rewriting '%s': it is left alone for %llu s; let one "
               "of the two manage it\n",
               file->path, (unsigned long long)((file->resume_ms - now_ms) / 1000));
}

/* Writes what is to be written; what is known of drift is kept for the next run. */
static bool write_settings(const struct command_line *line, struct settings_plan *plan,
                           struct drift *drift, struct settings_result *result, struct error *err)
{
    uint64_t now_ns = clock_wall_ns(&platform_clock);
    struct error drift_error = {0};
    if (line->repair)
        drift_choose(drift, plan, now_ns / NS_PER_MS);
    bool ok = settings_apply(plan, &fs_real, result, err);
    drift_note(drift, result, now_ns);
    if ((drift->count > 0 || result->repaired > 0) &&
        !drift_write(drift, line->root, &fs_real, &drift_error) &&
        drift_error.kind != FAIL_NOT_FOUND)
        error_print(AGENT_PROGRAM, &drift_error);
    return ok;
}

static int carry_out(struct settings_plan *plan, const struct settings_setup *setup,
                     const struct local_users *users, const struct command_line *line)
{
    struct settings_result result = {0};
    struct settings_verdicts verdicts;
    struct buffer diff = {.max_bytes = DIFF_BYTES};
    struct drift drift;
    struct error err = {0};
    uint64_t now_ms = clock_wall_ns(&platform_clock) / NS_PER_MS;
    drift_read(&drift, line->root, &fs_real, now_ms);
    bool ok = settings_diff(plan, &diff) ||
              error_set(&err, FAIL_TOO_LARGE, "the difference is too large to show");
    bool is_blocked = settings_plan_blocked(plan) > 0;
    if (ok && !line->dry_run)
        ok = write_settings(line, plan, &drift, &result, &err);
    settings_verdicts_read(&setup->options, line->dry_run, &fs_real, &verdicts);
    if (!line->dry_run)
        tell_service(line->root, &(struct knowledge){setup, users, &drift, &verdicts, &err});
    if (line->json)
        print_json(plan, &verdicts, &result, &diff, line->dry_run);
    else
        print_text(plan, &verdicts, &result, &diff, line->dry_run);
    if (!line->json)
        print_conflict(&drift, now_ms);
    print_blocked(plan);
    if (!ok && !is_blocked)
        error_print(AGENT_PROGRAM, &err);
    settings_verdicts_clear(&verdicts);
    drift_clear(&drift);
    buffer_clear(&diff);
    return ok && !is_blocked ? EXIT_DONE : EXIT_FAILED;
}

int command_apply(const struct command_line *line)
{
    struct error err = {0};
    struct settings_setup setup = {0};
    struct settings_plan *plan = NULL;
    struct agent_config *config = command_load_config(line);
    if (!config)
        return EXIT_USAGE;
    char *state_dir = platform_state_dir(line->root);
    struct accounts *accounts =
        accounts_create(line->root, state_dir, !line->dry_run, &fs_real, &err);
    if (accounts) {
        accounts_refresh(accounts, config->values, NULL);
        if (settings_setup_init(&setup, config->values, line->root, accounts,
                                relay_port_now(line, config->values), &fs_real, &err))
            plan = settings_plan_create(&setup.options, &fs_real, &err);
    }
    if (!plan && !line->dry_run)
        tell_failure(line->root, &err);
    int code = plan ? carry_out(plan, &setup, accounts_users(accounts), line) : command_fail(&err);
    settings_plan_destroy(plan);
    settings_setup_clear(&setup);
    accounts_destroy(accounts);
    agent_config_destroy(config);
    free(state_dir);
    return code;
}

int command_revert(const struct command_line *line)
{
    struct settings_result result = {0};
    struct error err = {0};
    bool ok = settings_revert(line->root, &fs_real, &result, &err);
    if (line->json)
        printf("{\"written\": %zu, \"removed\": %zu, \"failed\": %zu}\n", result.written,
               result.removed, result.failed);
    else if (ok)
        printf("%zu files put back, %zu removed\n", result.written, result.removed);
    return ok ? EXIT_DONE : command_fail(&err);
}
