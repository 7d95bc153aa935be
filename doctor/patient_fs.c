#include "doctor/patient_fs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { MAX_SILENT = 32, PARENT_SHARE = 2 };

struct patient_fs {
    struct fs table;
    const struct fs *disk; /* borrowed */
    uint32_t limit_ms;
    pthread_mutex_t lock; /* guards what follows */
    char *silent[MAX_SILENT];
    size_t silent_count;
    struct fs_file *stuck[MAX_SILENT]; /* still being read: closing one would wait as well */
    size_t stuck_count;
};

enum question { ASK_OPEN, ASK_READ, ASK_SIZE, ASK_STAT, ASK_LINK, ASK_LIST, ASK_FREE, ASK_TOTAL };

/* One look. Whoever leaves it last, the asker or the thread, frees it. */
struct look {
    enum question question;
    const struct fs *disk;
    char *path;
    struct fs_file *file;
    unsigned how;
    uint32_t mode;
    uint64_t offset;
    size_t len;

    bool ok;
    struct error err;
    struct fs_stat stat;
    uint64_t number;
    char *target;
    uint8_t *data;
    size_t got;
    char **names;
    size_t name_count;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    clockid_t clock;
    bool is_done, is_left;
};

static void look_free(struct look *l)
{
    for (size_t i = 0; i < l->name_count; i++)
        free(l->names[i]);
    free(l->names);
    free(l->data);
    free(l->target);
    free(l->path);
    pthread_cond_destroy(&l->ended);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static struct look *look_new(const struct patient_fs *p, enum question question, const char *path)
{
    struct look *l = xcalloc(1, sizeof *l);
    pthread_condattr_t attributes;
    l->question = question;
    l->disk = p->disk;
    l->path = path ? xstrdup(path) : NULL;
    l->clock = CLOCK_REALTIME;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attributes);
#if defined(_POSIX_CLOCK_SELECTION) && _POSIX_CLOCK_SELECTION > 0
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0)
        l->clock = CLOCK_MONOTONIC;
#endif
    pthread_cond_init(&l->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    return l;
}

static bool keep_name(void *context, const char *name)
{
    struct look *l = context;
    l->names = xrealloc(l->names, (l->name_count + 1) * sizeof *l->names);
    l->names[l->name_count++] = xstrdup(name);
    return true;
}

static bool ask(struct look *l)
{
    const struct fs *fs = l->disk;
    switch (l->question) {
    case ASK_OPEN:
        l->file = fs->open(fs->disk, l->path, l->how, l->mode, &l->err);
        return l->file != NULL;
    case ASK_READ:
        l->data = xmalloc(l->len + 1);
        return fs->read_at(fs->disk, l->file, l->offset, l->data, l->len, &l->got, &l->err);
    case ASK_SIZE:
        return fs->size(fs->disk, l->file, &l->number, &l->err);
    case ASK_STAT:
        return fs->stat(fs->disk, l->path, &l->stat, &l->err);
    case ASK_LINK:
        return fs->read_link(fs->disk, l->path, &l->target, &l->err);
    case ASK_LIST:
        return fs->list(fs->disk, l->path, keep_name, l, &l->err);
    case ASK_FREE:
        return fs->free_bytes(fs->disk, l->path, &l->number, &l->err);
    case ASK_TOTAL:
        break;
    }
    return fs->total_bytes(fs->disk, l->path, &l->number, &l->err);
}

static void *work(void *context)
{
    struct look *l = context;
    l->ok = ask(l);
    pthread_mutex_lock(&l->lock);
    l->is_done = true;
    bool is_left = l->is_left;
    pthread_cond_signal(&l->ended);
    pthread_mutex_unlock(&l->lock);
    if (!is_left)
        return NULL;
    if (l->question == ASK_OPEN && l->ok)
        l->disk->close(l->disk->disk, l->file);
    look_free(l);
    return NULL;
}

/* Waits for the answer. False: it did not come, and the look belongs to its thread now. */
static bool await(struct look *l, uint32_t limit_ms)
{
    pthread_t thread;
    struct timespec until;
    clock_gettime(l->clock, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + limit_ms * NS_PER_MS;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    if (pthread_create(&thread, NULL, work, l) != 0) {
        work(l); /* no thread to be had: then as patiently as anybody */
        return true;
    }
    pthread_mutex_lock(&l->lock);
    int timed_out = 0;
    while (!l->is_done && !timed_out)
        timed_out = pthread_cond_timedwait(&l->ended, &l->lock, &until);
    bool is_done = l->is_done;
    l->is_left = !is_done;
    pthread_mutex_unlock(&l->lock);
    if (is_done)
        pthread_join(thread, NULL);
    else
        pthread_detach(thread);
    return is_done;
}

/* ---- What is silent ---- */

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_silent(struct patient_fs *p, const char *path)
{
    bool found = false;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->silent_count && !found; i++)
        found = is_below(path, p->silent[i]);
    pthread_mutex_unlock(&p->lock);
    return found;
}

/* Goes up from what did not answer to the last folder that does not, and remembers that. */
static void remember_silence(struct patient_fs *p, const char *path)
{
    char *at = xstrdup(path);
    for (char *slash; (slash = strrchr(at, '/')) && slash != at;) {
        *slash = '\0';
        struct look *l = look_new(p, ASK_STAT, at);
        bool answers = await(l, p->limit_ms / PARENT_SHARE);
        if (answers) {
            look_free(l);
            *slash = '/';
            break;
        }
    }
    pthread_mutex_lock(&p->lock);
    if (p->silent_count < MAX_SILENT)
        p->silent[p->silent_count++] = at;
    else
        free(at);
    pthread_mutex_unlock(&p->lock);
}

static void no_answer(const char *path, struct error *err)
{
    error_set(err, FAIL_BUSY, "'%s' does not answer", path);
    error_remedy(err,
                 "look whether the server of that network folder can be reached, or unmount it");
}

/* Asks, frees the look unless it answered. */
static bool answers(struct patient_fs *p, struct look *l, const char *path, struct error *err)
{
    if (path && is_silent(p, path)) {
        look_free(l);
        no_answer(path, err);
        return false;
    }
    if (await(l, p->limit_ms)) {
        if (!l->ok)
            *err = l->err;
        return true;
    }
    no_answer(path ? path : "the file", err);
    if (path)
        remember_silence(p, path);
    return false;
}

/* ---- The table ---- */

static struct fs_file *patient_open(void *disk, const char *path, unsigned how, uint32_t mode,
                                    struct error *err)
{
    struct look *l = look_new(disk, ASK_OPEN, path);
    l->how = how;
    l->mode = mode;
    if (!answers(disk, l, path, err))
        return NULL;
    struct fs_file *file = l->ok ? l->file : NULL;
    look_free(l);
    return file;
}

static void patient_close(void *disk, struct fs_file *file)
{
    struct patient_fs *p = disk;
    bool is_stuck = false;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->stuck_count; i++)
        is_stuck = is_stuck || p->stuck[i] == file;
    pthread_mutex_unlock(&p->lock);
    if (!is_stuck)
        p->disk->close(p->disk->disk, file);
}

/* Of an open file. */
static bool file_answers(struct patient_fs *p, struct look *l, struct fs_file *file,
                         struct error *err)
{
    l->file = file;
    if (answers(p, l, NULL, err))
        return true;
    pthread_mutex_lock(&p->lock);
    if (p->stuck_count < MAX_SILENT)
        p->stuck[p->stuck_count++] = file;
    pthread_mutex_unlock(&p->lock);
    return false;
}

static bool patient_read_at(void *disk, struct fs_file *file, uint64_t offset, void *into,
                            size_t len, size_t *got, struct error *err)
{
    struct look *l = look_new(disk, ASK_READ, NULL);
    l->offset = offset;
    l->len = len;
    if (!file_answers(disk, l, file, err))
        return false;
    bool ok = l->ok;
    *got = l->got;
    if (ok && l->got > 0)
        memcpy(into, l->data, l->got);
    look_free(l);
    return ok;
}

static bool patient_size(void *disk, struct fs_file *file, uint64_t *size_bytes, struct error *err)
{
    struct look *l = look_new(disk, ASK_SIZE, NULL);
    if (!file_answers(disk, l, file, err))
        return false;
    bool ok = l->ok;
    *size_bytes = l->number;
    look_free(l);
    return ok;
}

static bool patient_stat(void *disk, const char *path, struct fs_stat *out, struct error *err)
{
    struct look *l = look_new(disk, ASK_STAT, path);
    if (!answers(disk, l, path, err))
        return false;
    bool ok = l->ok;
    *out = l->stat;
    look_free(l);
    return ok;
}

static bool patient_read_link(void *disk, const char *path, char **target, struct error *err)
{
    struct look *l = look_new(disk, ASK_LINK, path);
    if (!answers(disk, l, path, err))
        return false;
    bool ok = l->ok;
    if (ok) {
        *target = l->target;
        l->target = NULL;
    }
    look_free(l);
    return ok;
}

static bool patient_list(void *disk, const char *dir, fs_visit *visit, void *context,
                         struct error *err)
{
    struct look *l = look_new(disk, ASK_LIST, dir);
    if (!answers(disk, l, dir, err))
        return false;
    bool ok = l->ok;
    for (size_t i = 0; i < l->name_count; i++)
        if (!visit(context, l->names[i]))
            break;
    look_free(l);
    return ok;
}

static bool room(struct patient_fs *p, enum question question, const char *path, uint64_t *out,
                 struct error *err)
{
    struct look *l = look_new(p, question, path);
    if (!answers(p, l, path, err))
        return false;
    bool ok = l->ok;
    *out = l->number;
    look_free(l);
    return ok;
}

static bool patient_free_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    return room(disk, ASK_FREE, path, out, err);
}

static bool patient_total_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    return room(disk, ASK_TOTAL, path, out, err);
}

struct patient_fs *patient_fs_create(const struct fs *disk, uint32_t limit_ms)
{
    struct patient_fs *p = xcalloc(1, sizeof *p);
    p->disk = disk;
    p->limit_ms = limit_ms;
    pthread_mutex_init(&p->lock, NULL);
    p->table = *disk;
    p->table.disk = p;
    p->table.open = patient_open;
    p->table.close = patient_close;
    p->table.read_at = patient_read_at;
    p->table.size = patient_size;
    p->table.stat = patient_stat;
    p->table.read_link = patient_read_link;
    p->table.list = patient_list;
    p->table.free_bytes = patient_free_bytes;
    p->table.total_bytes = patient_total_bytes;
    return p;
}

void patient_fs_destroy(struct patient_fs *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->silent_count; i++)
        free(p->silent[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

const struct fs *patient_fs_table(const struct patient_fs *p)
{
    return &p->table;
}
