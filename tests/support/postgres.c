#include "tests/support/postgres.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "tests/support/temp_dir.h"

enum { START_S = 60 };

/* Also outside of a test case, where Check's own assertions have no one to tell. */
static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "PostgreSQL for tests: %s\n", what);
    abort();
}

struct postgres_cluster {
    char *programs; /* PostgreSQL's directory of programs */
    char *dir, *data;
    pid_t starter, postmaster; /* who started it, and so reaps it */
};

/* The newest version's programs, or NULL. Debian keeps them out of PATH. */
static char *find_programs(void)
{
    glob_t found = {0};
    char *newest = NULL;
    glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found);
    glob("/usr/local/pgsql/bin/initdb", GLOB_APPEND, NULL, &found);
    int highest = -1;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        int version = strncmp(path, "/usr/lib/postgresql/", 20) == 0 ? atoi(path + 20) : 0;
        if (version > highest) {
            highest = version;
            free(newest);
            newest = xstrndup(path, strlen(path) - strlen("/initdb"));
        }
    }
    globfree(&found);
    return newest;
}

/* PostgreSQL refuses to run as root. */
static const struct passwd *other_user(void)
{
    if (geteuid() != 0)
        return NULL;
    const struct passwd *user = getpwnam("postgres");
    return user ? user : getpwnam("nobody");
}

/* In a child: becomes the program, as an ordinary user, with its output in `log`. */
static void become(const struct postgres_cluster *c, const char *program,
                   const char *const *arguments)
{
    const struct passwd *user = other_user();
    char *path = xasprintf("%s/%s", c->programs, program);
    char *log = xasprintf("%s/%s.log", c->dir, program);
    if (user && (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after the change of user, which would undo it */
    if (chdir(c->dir) == 0)
        execv(path, (char *const *)arguments);
    _exit(127);
}

static void show_log(const struct postgres_cluster *c, const char *program)
{
    char *path = xasprintf("%s/%s.log", c->dir, program), line[512];
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log))
        fputs(line, stderr);
    if (log)
        fclose(log);
    free(path);
}

static void make_cluster(struct postgres_cluster *c)
{
    const char *const arguments[] = {"initdb",          "--pgdata",     c->data,
                                     "--username=ct",   "--auth=trust", "--no-sync",
                                     "--encoding=UTF8", "--locale=C",   NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        become(c, "initdb", arguments);
    must(child > 0 && waitpid(child, &status, 0) == child, "cannot run initdb");
    if (status != 0)
        show_log(c, "initdb");
    must(status == 0, "initdb failed");
}

static char *url_of(const struct postgres_cluster *c, const char *database)
{
    return xasprintf("postgres://ct@/%s?host=%s", database, c->dir);
}

static pid_t start(const struct postgres_cluster *c)
{
    const char *const arguments[] = {"postgres",
                                     "-D",
                                     c->data,
                                     "-k",
                                     c->dir,
                                     "-c",
                                     "listen_addresses=",
                                     "-c",
                                     "unix_socket_permissions=0777",
                                     "-c",
                                     "fsync=off",
                                     "-c",
                                     "max_connections=60",
                                     "-c",
                                     "shared_buffers=16MB",
                                     "-c",
                                     "deadlock_timeout=20ms",
                                     "-c",
                                     "log_min_messages=warning",
                                     NULL};
    pid_t child = fork();
    if (child == 0)
        become(c, "postgres", arguments);
    must(child > 0, "cannot start a process");
    return child;
}

void postgres_cluster_restart(struct postgres_cluster *c)
{
    char *url = url_of(c, "postgres");
    time_t until = time(NULL) + START_S;
    c->starter = getpid();
    c->postmaster = start(c);
    while (PQping(url) != PQPING_OK) {
        if (time(NULL) > until)
            show_log(c, "postgres");
        must(time(NULL) <= until, "it does not start");
        /* It refuses while one that crashed has processes left. */
        if (waitpid(c->postmaster, NULL, WNOHANG) == c->postmaster)
            c->postmaster = start(c);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* looked at, not waited for */
    }
    free(url);
}

struct postgres_cluster *postgres_cluster_start(void)
{
    char *programs = find_programs();
    if (!programs) {
        printf("skipped: no PostgreSQL server here (Debian: apt-get install postgresql)\n");
        return NULL;
    }
    struct postgres_cluster *c = xcalloc(1, sizeof *c);
    const struct passwd *user = other_user();
    c->programs = programs;
    const char *base = getenv("TMPDIR");
    c->dir = xasprintf("%s/claude-telemetry-postgres-XXXXXX", base && *base ? base : "/tmp");
    must(mkdtemp(c->dir) != NULL, "cannot make a directory");
    c->data = xasprintf("%s/data", c->dir);
    if (user)
        must(chown(c->dir, user->pw_uid, user->pw_gid) == 0, "cannot give the directory away");
    make_cluster(c);
    postgres_cluster_restart(c);
    return c;
}

/* The pid stands in the first line of the cluster's own file; 0 when nobody runs. */
static pid_t running(const struct postgres_cluster *c)
{
    char *path = xasprintf("%s/postmaster.pid", c->data), state = 'Z';
    FILE *file = fopen(path, "r");
    long pid = 0;
    if (file && fscanf(file, "%ld", &pid) != 1)
        pid = 0;
    if (file)
        fclose(file);
    free(path);
    if (pid == 0)
        return 0;
    /* Who was not reaped is dead all the same. */
    path = xasprintf("/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    if (file)
        fclose(file);
    free(path);
    return state == 'Z' ? 0 : (pid_t)pid;
}

void postgres_cluster_crash(struct postgres_cluster *c)
{
    pid_t pid = running(c);
    time_t until = time(NULL) + START_S;
    if (pid > 0)
        kill(pid, SIGQUIT);
    while (running(c) > 0 && time(NULL) <= until)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    must(running(c) == 0, "it does not end");
    if (c->starter == getpid())
        waitpid(c->postmaster, NULL, 0);
    char *left = xasprintf("%s/postmaster.pid", c->data);
    unlink(left);
    free(left);
}

void postgres_cluster_end(struct postgres_cluster *c)
{
    if (!c)
        return;
    postgres_cluster_crash(c);
    free(c->programs);
    free(c->data);
    temp_dir_remove(c->dir);
    free(c);
}

char *postgres_cluster_ask(const char *url, const char *sql)
{
    PGconn *pg = PQconnectdb(url);
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    must(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, PQerrorMessage(pg));
    char *answer = xstrdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(pg);
    return answer;
}

char *postgres_cluster_database(struct postgres_cluster *c)
{
    char uuid[PLATFORM_UUID_BYTES], name[PLATFORM_UUID_BYTES + 2], sql[128];
    char *url = url_of(c, "postgres");
    if (running(c) != c->postmaster || PQping(url) != PQPING_OK) {
        postgres_cluster_crash(c); /* one that a test before this one started is ending with it */
        postgres_cluster_restart(c);
    }
    platform_uuid(uuid);
    snprintf(name, sizeof name, "t%s", uuid);
    for (char *at = name; *at; at++)
        if (*at == '-')
            *at = '_';
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    free(postgres_cluster_ask(url, sql));
    free(url);
    return url_of(c, name);
}
