#include "doctor/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/scene_status.h"
#include "platform/platform.h"
#include "platform/processes.h"
#include "platform/service.h"

enum { MAX_PROCESSES = 64 };

/* What is assumed when no installation tells its version. */
static const struct claude_version newest_known = {2, 1, 329};

struct collector {
    struct scene *scene;
    struct view_environment environments[MAX_PROCESSES];
    struct buffer texts[MAX_PROCESSES];
    size_t count;
};

/* The name of a program without its folder and, as Windows has it, without ".exe". */
static struct bytes program_name(struct bytes command)
{
    struct bytes name = bytes_make(command.data, strnlen((const char *)command.data, command.len));
    for (size_t i = name.len; i > 0; i--)
        if (name.data[i - 1] == '/') {
            name = bytes_make(name.data + i, name.len - i);
            break;
        }
    if (name.len > 4 && bytes_equal_ignoring_case(bytes_make(name.data + name.len - 4, 4), ".exe"))
        name.len -= 4;
    return name;
}

/* What follows the program; empty when nothing does. */
static struct bytes first_argument(struct bytes command)
{
    size_t len = strnlen((const char *)command.data, command.len);
    if (len + 1 >= command.len)
        return bytes_make(NULL, 0);
    const char *at = (const char *)command.data + len + 1;
    return bytes_make(at, strnlen(at, command.len - len - 1));
}

static bool is_claude(struct bytes command)
{
    struct bytes name = program_name(command);
    return bytes_equal_text(name, "claude") ||
           (bytes_starts_with(name, "node") &&
            bytes_contain(first_argument(command), "@anthropic-ai/claude-code"));
}

/* The service: "/usr/bin/claude-telemetry-agent run …". */
static bool is_agent(struct bytes command)
{
    return bytes_equal_text(program_name(command), "claude-telemetry-agent") &&
           bytes_equal_text(first_argument(command), "run");
}

static void keep_agent(struct scene *scene, const struct platform_process *process)
{
    struct buffer *kept = &scene->agent_environment;
    buffer_reset(kept);
    scene->has_agent_environment =
        process->has_environment && buffer_append(kept, process->environment);
}

static bool see_process(void *context, const struct platform_process *process)
{
    struct collector *c = context;
    struct scene *scene = c->scene;
    if (is_agent(process->command))
        keep_agent(scene, process);
    if (!is_claude(process->command))
        return true;
    scene->processes =
        xrealloc(scene->processes, (scene->process_count + 1) * sizeof *scene->processes);
    scene->processes[scene->process_count++] =
        (struct scene_process){process->pid, process->uid, process->started_ns};
    if (process->has_environment) {
        struct buffer *text = &c->texts[c->count];
        struct view_environment *e = &c->environments[c->count];
        text->max_bytes = 4 * MIB;
        if (buffer_append(text, process->environment)) {
            snprintf(e->where, sizeof e->where, "the environment of Claude Code (process %d)",
                     process->pid);
            e->uid = process->uid;
            e->text = buffer_bytes(text);
            c->count++;
        }
    }
    return scene->process_count < MAX_PROCESSES;
}

/* The oldest installed version that this person may start: what can go wrong does so there. */
static bool oldest_version(const struct scene *scene, const struct local_user *user,
                           struct claude_version *out)
{
    const struct local_users *users = scene->accounts ? accounts_users(scene->accounts) : NULL;
    bool known = false;
    for (size_t i = 0; i < scene->installs.count; i++) {
        const struct claude_install *install = &scene->installs.list[i];
        bool of_other = false;
        for (size_t u = 0; users && u < users->count; u++) {
            char *home = platform_under_root(scene->root, users->list[u].home);
            size_t len = strlen(home);
            if (&users->list[u] != user && len > 1 && strncmp(install->path, home, len) == 0 &&
                install->path[len] == '/')
                of_other = true;
            free(home);
        }
        if (of_other || !install->known)
            continue;
        if (!known || claude_version_compare(install->version, *out) < 0)
            *out = install->version;
        known = true;
    }
    return known;
}

static void add_view(struct scene *scene, const struct local_user *user,
                     const struct scene_options *options, const struct collector *c)
{
    bool is_own = user && user->uid == options->uid;
    struct view_options view = {.root = scene->root,
                                .user = user ? user->name : NULL,
                                .home = user ? user->home : NULL,
                                .sid = user ? user->sid : NULL,
                                .uid = user ? user->uid : options->uid,
                                .gid = user ? user->gid : 0,
                                .version = newest_known,
                                .environment = is_own ? options->environment : NULL,
                                .running = c->environments,
                                .running_count = c->count,
                                .project = is_own ? options->project : NULL};
    view.has_version = oldest_version(scene, user, &view.version);
    scene->views = xrealloc(scene->views, (scene->view_count + 1) * sizeof *scene->views);
    scene->views[scene->view_count++] = settings_view_create(&view, scene->fs);
}

/* Everybody's settings; without rights, those of one's own. */
static void add_views(struct scene *scene, const struct scene_options *options)
{
    const struct local_users *users = scene->accounts ? accounts_users(scene->accounts) : NULL;
    struct collector *c = xcalloc(1, sizeof *c);
    c->scene = scene;
    platform_processes(scene->root, see_process, c);
    for (size_t i = 0; users && i < users->count && scene->view_count < SCENE_MAX_VIEWS; i++)
        if (scene->is_privileged || users->list[i].uid == options->uid)
            add_view(scene, &users->list[i], options, c);
    if (scene->view_count == 0)
        add_view(scene, NULL, options, c);
    for (size_t i = 0; i < c->count; i++)
        buffer_clear(&c->texts[i]);
    free(c);
}

static void read_people(struct scene *scene)
{
    struct error err = {0};
    struct local_users users = {0};
    const struct users_directory *directory =
        strcmp(scene->root, "/") == 0 ? &users_system_directory : NULL;
    if (!local_users_read(scene->root, scene->fs, directory, &users, &err))
        snprintf(scene->users_problem, sizeof scene->users_problem, "%.290s", err.cause);
    local_users_clear(&users);
    scene->accounts = accounts_create(scene->root, scene->state_dir, false, scene->fs, &err);
    if (!scene->accounts)
        return;
    scene->has_identity = scene->config != NULL;
    if (scene->config) {
        accounts_refresh(scene->accounts, scene->config->values, NULL);
        return;
    }
    /* A broken configuration must not hide who uses the machine. */
    struct config_problems none = {0};
    struct config *defaults = config_create(&agent_config_table, NULL, 0, &none);
    if (defaults)
        accounts_refresh(scene->accounts, defaults, NULL);
    config_destroy(defaults);
    config_problems_clear(&none);
}

static void read_installs(struct scene *scene)
{
    const struct local_users *users = scene->accounts ? accounts_users(scene->accounts) : NULL;
    size_t count = users ? users->count : 0;
    const char **homes = xcalloc(count + 1, sizeof *homes);
    for (size_t i = 0; i < count; i++)
        homes[i] = users->list[i].home;
    claude_find_installs(scene->root, homes, count, scene->fs, &scene->installs);
    free(homes);
}

struct scene *scene_create(const struct scene_options *options, const struct fs *fs,
                           const struct clock *clock)
{
    struct scene *scene = xcalloc(1, sizeof *scene);
    struct error err = {0};
    scene->agent_environment.max_bytes = 4 * MIB;
    scene->root = options->root;
    scene->config_path = options->config_path;
    scene->fs = fs;
    scene->clock = clock;
    scene->uid = options->uid;
    scene->environment = options->environment;
    scene->is_privileged = options->uid == 0 || options->is_administrator;
    scene->config_dir = platform_config_dir(scene->root);
    scene->state_dir = platform_state_dir(scene->root);
    scene->run_dir = platform_run_dir(scene->root);
    scene->managed_dir = platform_claude_managed_dir(scene->root);

    scene->config = agent_config_load(scene->root, scene->config_path, fs, &scene->problems);
    scene->has_device = device_load(fs, scene->state_dir, &scene->device, &err);
    scene->is_device_hidden = !scene->has_device && err.kind == FAIL_DENIED;
    read_people(scene);
    if (scene->accounts && scene->has_device)
        accounts_set_device(scene->accounts, scene->device.id, scene->device.token);
    scene_read_status(scene->run_dir, fs, &scene->status);
    read_installs(scene);
    add_views(scene, options);
    return scene;
}

void scene_destroy(struct scene *scene)
{
    if (!scene)
        return;
    for (size_t i = 0; i < scene->view_count; i++)
        settings_view_destroy(scene->views[i]);
    free(scene->views);
    free(scene->processes);
    claude_installs_clear(&scene->installs);
    accounts_destroy(scene->accounts);
    buffer_clear(&scene->agent_environment);
    agent_config_destroy(scene->config);
    config_problems_clear(&scene->problems);
    free(scene->config_dir);
    free(scene->state_dir);
    free(scene->run_dir);
    free(scene->managed_dir);
    free(scene);
}

bool scene_has_agent(const struct scene *scene)
{
    return scene->config && (scene->config->file_exists || scene->config->managed);
}

bool scene_agent_writes(const struct scene *scene)
{
    return scene_has_agent(scene) &&
           (strcmp(config_text(scene->config->values, "claude.settings"), "none") != 0 ||
            config_bool(scene->config->values, "claude.user_env"));
}

bool scene_uses_relay(const struct scene *scene)
{
    return scene_has_agent(scene) &&
           strcmp(config_text(scene->config->values, "claude.mode"), "relay") == 0;
}

uint16_t scene_relay_port(const struct scene *scene)
{
    if (scene->status.port > 0)
        return scene->status.port;
    if (!scene->config)
        return 0;
    const char *listen = config_text(scene->config->values, "relay.listen");
    return (uint16_t)strtoul(strrchr(listen, ':') + 1, NULL, 10);
}

bool scene_expected_url(const struct scene *scene, const char *signal, struct buffer *out)
{
    struct error ignored = {0};
    if (scene_uses_relay(scene))
        return buffer_append_format(out, "http://127.0.0.1:%u/v1/%s", scene_relay_port(scene),
                                    signal) &&
               buffer_text(out);
    if (!scene_has_agent(scene) || !scene->accounts ||
        config_section_count(scene->config->values, "destinations") == 0)
        return false;
    const struct config *direct = config_section_at(scene->config->values, "destinations", 0);
    struct buffer template = {.max_bytes = 16 * KIB};
    bool ok = agent_destination_url(direct, signal, &template) &&
              accounts_expand(scene->accounts, buffer_text(&template), NULL, out, &ignored) &&
              buffer_text(out);
    buffer_clear(&template);
    return ok;
}

bool scene_wants_signal(const struct scene *scene, const char *signal)
{
    return !scene_has_agent(scene) ||
           config_list_has(scene->config->values, "claude.signals", signal);
}

const char *scene_command(const struct scene *scene, const char *verb,
                          char out[SCENE_COMMAND_BYTES])
{
    bool other_root = strcmp(scene->root, "/") != 0 && *scene->root;
    snprintf(out, SCENE_COMMAND_BYTES, "%sclaude-telemetry-agent%s%s%s%s %s",
             platform_admin_prefix(), other_root ? " --root " : "", other_root ? scene->root : "",
             scene->config_path ? " --config " : "", scene->config_path ? scene->config_path : "",
             verb);
    return out;
}
