#include "agent/settings/verdicts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { MAX_VERSIONS = 64 };

static const struct claude_version newest_known = {2, 1, 329};

static const char *short_name(enum settings_source source)
{
    static const char *const names[] = {
        [SOURCE_REMOTE] = "remote",    [SOURCE_MDM] = "mdm",   [SOURCE_FILES] = "files",
        [SOURCE_USER_POLICY] = "user", [SOURCE_NONE] = "none",
    };
    return names[source];
}

static int by_version(const void *a, const void *b)
{
    return claude_version_compare(*(const struct claude_version *)a,
                                  *(const struct claude_version *)b);
}

/* The installed versions, each once, oldest first; none known: how the newest would behave. */
static size_t distinct_versions(const struct claude_installs *installs,
                                struct claude_version list[MAX_VERSIONS])
{
    size_t count = 0;
    for (size_t i = 0; installs && i < installs->count && count < MAX_VERSIONS; i++) {
        bool known = installs->list[i].known;
        for (size_t j = 0; j < count && known; j++)
            known = claude_version_compare(list[j], installs->list[i].version) != 0;
        if (known)
            list[count++] = installs->list[i].version;
    }
    qsort(list, count, sizeof *list, by_version);
    return count;
}

static void add_version(struct settings_verdict *v, struct claude_version version)
{
    size_t len = strlen(v->versions);
    snprintf(v->versions + len, sizeof v->versions - len, "%s%u.%u.%u", len ? ", " : "",
             version.major, version.minor, version.patch);
}

static void add(struct settings_verdicts *out, size_t first, const char *user,
                const struct source_verdict *verdict, const struct claude_version *version)
{
    const char *winner = short_name(verdict->winner), *telemetry = short_name(verdict->telemetry);
    struct settings_verdict *same = NULL;
    for (size_t i = first; i < out->count && !same; i++)
        if (strcmp(out->list[i].winner, winner) == 0 &&
            strcmp(out->list[i].telemetry, telemetry) == 0 &&
            out->list[i].in_force == verdict->ours_in_force)
            same = &out->list[i];
    if (!same) {
        out->list = xrealloc(out->list, (out->count + 1) * sizeof *out->list);
        same = &out->list[out->count++];
        *same = (struct settings_verdict){.in_force = verdict->ours_in_force};
        snprintf(same->user, sizeof same->user, "%s", user);
        snprintf(same->winner, sizeof same->winner, "%s", winner);
        snprintf(same->telemetry, sizeof same->telemetry, "%s", telemetry);
        snprintf(same->sentence, sizeof same->sentence, "%s", verdict->sentence);
    }
    if (version)
        add_version(same, *version);
}

void settings_verdicts_read(const struct settings_options *o, bool as_planned, const struct fs *fs,
                            struct settings_verdicts *out)
{
    struct claude_version versions[MAX_VERSIONS];
    size_t count = distinct_versions(o->installs, versions);
    *out = (struct settings_verdicts){0};
    for (size_t i = 0; i < o->user_count; i++) {
        const struct settings_user *user = &o->users[i];
        struct source_facts facts[SOURCE_COUNT];
        struct source_verdict verdict;
        size_t first = out->count;
        settings_read_sources(o->root, user->name, user->sid, user->home, fs, facts);
        if (as_planned && o->place != SETTINGS_NONE)
            facts[SOURCE_FILES].has_keys = facts[SOURCE_FILES].has_otlp = true;
        for (size_t v = 0; v < count; v++) {
            settings_decide_source(facts, versions[v], &verdict);
            add(out, first, user->name, &verdict, &versions[v]);
        }
        if (count == 0) {
            settings_decide_source(facts, newest_known, &verdict);
            add(out, first, user->name, &verdict, NULL);
        }
    }
}

void settings_verdicts_clear(struct settings_verdicts *verdicts)
{
    free(verdicts->list);
    *verdicts = (struct settings_verdicts){0};
}
