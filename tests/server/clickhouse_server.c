#include "tests/server/clickhouse_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/http/client.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "tests/support/temp_dir.h"

enum { START_S = 90, LOOK_MS = 20, TRIES = 5 };

struct clickhouse_server {
    char *dir;
    const char *program;
    unsigned http_port, tcp_port;
    pid_t pid;
};

/* Paths are of the directory that the server is started in. */
static const char CONFIG[] =
    "<yandex>\n"
    "<logger><level>warning</level><log>log</log><errorlog>errors</errorlog></logger>\n"
    "<listen_host>127.0.0.1</listen_host><http_port>%u</http_port><tcp_port>%u</tcp_port>\n"
    "<path>./data/</path><tmp_path>./tmp/</tmp_path><timezone>UTC</timezone>\n"
    "<users_config>users.xml</users_config><default_profile>default</default_profile>\n"
    "<default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>\n"
    "<mlock_executable>false</mlock_executable>\n"
    "</yandex>\n";

static const char USERS[] =
    "<yandex><profiles><default/></profiles><users><test><password>%s</password>"
    "<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>"
    "</test></users><quotas><default/></quotas></yandex>\n";

#define PASSWORD "a p&amp;ss/word"
#define PASSWORD_IN_URL "a%20p%26ss%2Fword"

/* Outside of a test, where Check has nothing to report to. */
static void must(bool ok, const char *what, const char *which)
{
    if (ok)
        return;
    fprintf(stderr, "clickhouse-server: %s: %s\n", what, which);
    exit(1);
}

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
             getsockname(fd, (struct sockaddr *)&address, &len) == 0,
         "no free port", "127.0.0.1");
    close(fd);
    return ntohs(address.sin_port);
}

static void write_file(const struct clickhouse_server *s, const char *name, const char *text)
{
    struct error err = {0};
    char *path = xasprintf("%s/%s", s->dir, name);
    must(fs_replace_file(&fs_real, path, bytes_of(text), 0600, &err), "cannot write", err.cause);
    free(path);
}

static void start_process(struct clickhouse_server *s)
{
    pid_t parent = getpid();
    s->pid = fork();
    must(s->pid >= 0, "cannot start", s->program);
    if (s->pid > 0)
        return;
    char *config = xasprintf("--config-file=%s/config.xml", s->dir);
    char *out = xasprintf("%s/out", s->dir);
    int fd = open(out, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && chdir(s->dir) == 0)
        execl(s->program, "clickhouse-server", config, (char *)NULL);
    _exit(127);
}

static bool answers(const struct clickhouse_server *s)
{
    char url[64];
    struct buffer body = {0}, headers = {0};
    struct http_result result;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/ping", s->http_port);
    http_client_perform(&(struct http_call){.method = "GET", .url = url, .timeout_ms = 2000},
                        &result, &body, &headers);
    bool ok = result.status == 200;
    buffer_clear(&body);
    buffer_clear(&headers);
    return ok;
}

/* False when it ended by itself, as when its port was taken meanwhile. */
static bool wait_for_answer(struct clickhouse_server *s)
{
    uint64_t until_ns = clock_monotonic_ns(&platform_clock) + START_S * NS_PER_S;
    while (!answers(s)) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
            return false;
        must(clock_monotonic_ns(&platform_clock) < until_ns, "does not answer", s->dir);
        poll(NULL, 0, LOOK_MS);
    }
    return true;
}

static const char *find_program(void)
{
    static const char *const PLACES[] = {"/usr/sbin/clickhouse-server",
                                         "/usr/bin/clickhouse-server"};
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (access(PLACES[i], X_OK) == 0)
            return PLACES[i];
    return NULL;
}

struct clickhouse_server *clickhouse_server_start(void)
{
    const char *program = find_program();
    bool up = false;
    if (!program)
        return NULL;
    struct clickhouse_server *s = xcalloc(1, sizeof *s);
    char users[1024], config[2048];
    s->program = program;
    const char *base = getenv("TMPDIR"); /* temp_dir_make() is for use in a test */
    s->dir = xasprintf("%s/clickhouse-test-XXXXXX", base && *base ? base : "/tmp");
    must(mkdtemp(s->dir) != NULL, "cannot make", s->dir);
    for (int i = 0; i < 2; i++) {
        char *dir = xasprintf("%s/%s", s->dir, i ? "data" : "tmp");
        struct error err = {0};
        must(fs_real.make_dir(NULL, dir, 0700, &err), "cannot make", err.cause);
        free(dir);
    }
    snprintf(users, sizeof users, USERS, PASSWORD);
    write_file(s, "users.xml", users);
    for (int i = 0; !up && i < TRIES; i++) {
        s->http_port = free_port();
        s->tcp_port = free_port();
        snprintf(config, sizeof config, CONFIG, s->http_port, s->tcp_port);
        write_file(s, "config.xml", config);
        start_process(s);
        up = wait_for_answer(s);
    }
    must(up, "does not start", s->dir);
    return s;
}

void clickhouse_server_kill(struct clickhouse_server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

void clickhouse_server_resume(struct clickhouse_server *s)
{
    bool up = false;
    for (int i = 0; !up && i < TRIES; i++) { /* its port may not be free at once */
        start_process(s);
        up = wait_for_answer(s);
    }
    must(up, "does not start again", s->dir);
}

void clickhouse_server_stop(struct clickhouse_server *s)
{
    if (!s)
        return;
    clickhouse_server_kill(s);
    temp_dir_remove(s->dir);
    free(s);
}

unsigned clickhouse_server_port(const struct clickhouse_server *s)
{
    return s->http_port;
}

void clickhouse_server_url(const struct clickhouse_server *s, char *out, size_t size)
{
    char unique[PLATFORM_UUID_BYTES];
    platform_uuid(unique);
    for (char *c = unique; *c; c++)
        *c = *c == '-' ? '_' : *c;
    snprintf(out, size, "clickhouse+http://test:%s@127.0.0.1:%u/t_%s", PASSWORD_IN_URL,
             s->http_port, unique);
}

void clickhouse_server_say(const struct clickhouse_server *s, const char *sql, char *out,
                           size_t size)
{
    static const char *const headers[] = {"X-ClickHouse-User: test",
                                          "X-ClickHouse-Key: a p&ss/word", NULL};
    char url[64];
    struct buffer body = {0}, answer_headers = {0};
    struct http_result result;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", s->http_port);
    http_client_perform(&(struct http_call){.method = "POST",
                                            .url = url,
                                            .headers = headers,
                                            .body = bytes_of(sql)},
                        &result, &body, &answer_headers);
    bool ok = result.status == 200;
    snprintf(out, size, "%.*s", ok ? (int)result.body.len : 0, (const char *)result.body.data);
    buffer_clear(&body);
    buffer_clear(&answer_headers);
}
