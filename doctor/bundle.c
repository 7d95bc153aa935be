#include "doctor/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "doctor/redact.h"
#include "platform/platform.h"

enum { BUNDLE_BYTES = 32 * 1024 * 1024, FILE_BYTES = 8 * 1024 * 1024, BLOCK = 512 };

static const char folder[] = "claude-telemetry-doctor";

static const char readme[] =
    "What claude-telemetry-doctor saw on one machine.\n\n"
    "report.txt, report.json  every check, and the settings in force\n"
    "agent.yaml               the agent's configuration\n"
    "status.json              what the running agent says of itself\n"
    "documents.txt            the settings files: where, when, how readable; not their content\n"
    "machine.txt              system and versions\n\n"
    "Tokens, passwords, header values, prompts and tools' parameters are left out or replaced by\n"
    "***. Telemetry itself is not in here.\n";

struct writer {
    const struct report *report;
    struct redact_options redaction;
    uint64_t now_s;
    struct buffer archive;
};

/* POSIX.1-1988 ustar: one header block, then the content in whole blocks. */
static bool put_header(struct writer *w, const char *name, size_t size)
{
    char header[BLOCK] = {0};
    unsigned sum = 0;
    snprintf(header, 100, "%s/%s", folder, name);
    memcpy(header + 100, "0000600", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    snprintf(header + 124, 12, "%011o", (unsigned)size);
    snprintf(header + 136, 12, "%011lo", (unsigned long)w->now_s);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar", 6);
    memcpy(header + 263, "00", 2);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum & 0777777U);
    return buffer_append(&w->archive, bytes_make(header, BLOCK));
}

static bool put_zeros(struct writer *w, size_t count)
{
    static const char zeros[2 * BLOCK];
    return buffer_append(&w->archive, bytes_make(zeros, count));
}

static bool put_file(struct writer *w, const char *name, struct bytes content, bool by_name)
{
    struct buffer clean = {.max_bytes = 2 * (size_t)FILE_BYTES};
    struct redact_options redaction = w->redaction;
    redaction.by_name = by_name;
    bool ok = redact(content, &redaction, &clean) && put_header(w, name, clean.len) &&
              buffer_append(&w->archive, buffer_bytes(&clean)) &&
              put_zeros(w, (BLOCK - clean.len % BLOCK) % BLOCK);
    buffer_clear(&clean);
    return ok;
}

static bool put_report(struct writer *w)
{
    struct buffer json = {.max_bytes = REPORT_BYTES}, text = {.max_bytes = REPORT_BYTES};
    struct report_style style = {.verbose = true};
    report_print(w->report, &style, &text);
    bool ok = report_put_json(w->report, &json) &&
              put_file(w, "report.json", buffer_bytes(&json), false) &&
              put_file(w, "report.txt", buffer_bytes(&text), false);
    buffer_clear(&text);
    buffer_clear(&json);
    return ok;
}

/* What cannot be read is left out: the report says why. */
static bool put_disk_file(struct writer *w, const char *name, const char *path)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct error ignored;
    const struct fs *fs = w->report->scene->fs;
    bool ok =
        !fs_read_file(fs, path, &text, &ignored) || put_file(w, name, buffer_bytes(&text), true);
    buffer_clear(&text);
    return ok;
}

static bool put_documents(struct writer *w)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    const struct scene *scene = w->report->scene;
    bool ok = true;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->document_count; i++) {
            const struct view_document *d = scene->views[v]->documents[i];
            ok =
                ok &&
                buffer_append_format(&text, "%s  %s%s%s%s%s%s\n", d->path,
                                     view_layer_name(d->layer), d->is_there ? "" : ", not there",
                                     d->is_unreadable ? ", unreadable" : "",
                                     d->is_empty ? ", empty" : "", d->is_broken ? ", broken: " : "",
                                     d->is_broken ? d->problem : "");
        }
    ok = ok && put_file(w, "documents.txt", buffer_bytes(&text), false);
    buffer_clear(&text);
    return ok;
}

static bool put_machine(struct writer *w)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    const struct scene *scene = w->report->scene;
    struct platform_os os;
    platform_os(&os);
    bool ok = buffer_append_format(&text, "doctor %s\nsystem %s %s %s\n", CT_VERSION, os.name,
                                   os.version, os.arch);
    for (size_t i = 0; i < scene->installs.count; i++) {
        const struct claude_install *install = &scene->installs.list[i];
        ok = ok &&
             buffer_append_format(&text, "claude %u.%u.%u %s\n", install->version.major,
                                  install->version.minor, install->version.patch, install->path);
    }
    ok = ok && put_file(w, "machine.txt", buffer_bytes(&text), false);
    buffer_clear(&text);
    return ok;
}

static bool put_all(struct writer *w)
{
    const struct scene *scene = w->report->scene;
    char *status = xasprintf("%s/status.json", scene->run_dir);
    char *config = scene->config        ? xstrdup(scene->config->path)
                   : scene->config_path ? xstrdup(scene->config_path)
                                        : xasprintf("%s/agent.yaml", scene->config_dir);
    bool ok = put_file(w, "README.txt", bytes_of(readme), false) && put_report(w) &&
              put_disk_file(w, "agent.yaml", config) && put_disk_file(w, "status.json", status) &&
              put_documents(w) && put_machine(w) && put_zeros(w, 2 * BLOCK);
    free(config);
    free(status);
    return ok;
}

bool bundle_write(const struct report *report, const char *path, bool hide_emails,
                  struct error *err)
{
    struct secrets secrets = {0};
    struct buffer packed = {.max_bytes = BUNDLE_BYTES};
    secrets_collect(&secrets, report->scene);
    struct writer w = {.report = report,
                       .redaction = {.secrets = &secrets, .emails = hide_emails},
                       .now_s = clock_wall_ns(report->scene->clock) / NS_PER_S,
                       .archive = {.max_bytes = BUNDLE_BYTES}};
    bool ok = (put_all(&w) && http_gzip(buffer_bytes(&w.archive), 6, &packed)) ||
              error_set(err, FAIL_TOO_LARGE, "the bundle is too large");
    ok = ok && fs_replace_file(&fs_real, path, buffer_bytes(&packed), 0600, err);
    secrets_clear(&secrets);
    buffer_clear(&w.archive);
    buffer_clear(&packed);
    if (!ok)
        error_remedy(err, "give --bundle a file in a folder that you may write to");
    return ok || error_wrap(err, "cannot write the bundle '%s'", path);
}
