/*
 * serve: the parts are made, wired, run and taken down here.
 *
 *   lanes (loop + HTTP server + gRPC server, one thread each)
 *     └▶ front ─▶ ingest   (OTLP paths)
 *              └▶ router   (API and portal)
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/server.h"
#include "core/json/writer.h"
#include "core/log/log.h"
#include "core/otlp/answer.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "platform/socket.h"
#include "server/alerts/alerts.h"
#include "server/auth/gate.h"
#include "server/auth/login.h"
#include "server/auth/session.h"
#include "server/commands.h"
#include "server/fleet/fleet.h"
#include "server/housekeeping.h"
#include "server/importers/schedule.h"
#include "server/ingest/ingest.h"
#include "server/message/prices.h"
#include "server/portal/portal.h"
#include "server/query/people.h"
#include "server/query/query.h"
#include "server/router/router.h"

enum {
    MAX_LOOPS = 64,
    DRAIN_MS = 10000,
    HOUSEKEEPING_MS = 60000,
    SOCKETS = 32768,   /* for a fleet whose relays keep theirs open */
    OTHER_FILES = 256, /* databases, their readers, alerts, imports */
};

struct service;

/* A loop and what it serves. Lane 0 runs on the main thread and hears the signals. */
struct lane {
    struct service *service;
    struct loop *loop;
    struct http_server *http, *grpc; /* grpc NULL: off */
    bool stopping;
    int draining; /* servers that are not drained yet */
    pthread_t thread;
};

struct service {
    const struct settings *settings;
    const struct clock *clock;
    uint32_t round_ms; /* of housekeeping */
    struct log *log;
    struct fs_file *lock;
    char id[PLATFORM_UUID_BYTES]; /* of this data directory's server; holds the leases */
    struct control_store *control;
    struct message_store *messages;
    struct prices *prices;
    struct gate *gate;
    struct login *login;
    struct sessions *sessions;
    struct ingest *ingest;
    struct router *router;
    struct fleet *fleet;
    struct housekeeping *housekeeping;
    struct schedule *schedule;
    struct alerts *alerts;
    struct query query;
    struct query_meters meters;
    struct http_budget *bodies;
    struct ready *ready;
    struct people *people;
    struct portal *portal;
    size_t max_connections; /* of each server of each lane */
    struct lane lanes[MAX_LOOPS];
    unsigned lane_count;
};

/* ---- The front: OTLP to ingest, the rest to the router ---- */

static void front_on_head(void *context, struct http_exchange *exchange,
                          const struct http_request *request, struct http_verdict *verdict)
{
    struct service *s = context;
    if (ingest_owns(request->path)) {
        ingest_on_head(s->ingest, exchange, request, verdict);
    } else if (request->is_grpc) {
        verdict->refuse = true;
        http_respond(exchange, &(struct http_answer){.status = 200,
                                                     .grpc_status = otlp_grpc_code(501),
                                                     .grpc_message = "no such method"});
    } else {
        router_on_head(s->router, exchange, request, verdict);
    }
}

static void front_on_request(void *context, struct http_exchange *exchange,
                             const struct http_request *request)
{
    struct service *s = context;
    if (ingest_owns(request->path))
        ingest_on_request(s->ingest, exchange, request);
    else
        router_on_request(s->router, exchange, request);
}

static void front_make_error(void *context, const struct http_request *request, int status,
                             const char *reason, struct buffer *body, const char **content_type)
{
    struct service *s = context;
    if (ingest_owns(request->path))
        ingest_make_error(s->ingest, request, status, reason, body, content_type);
    else
        router_make_error(s->router, request, status, reason, body, content_type);
}

static void front_on_answered(void *context, const struct http_request *request, int status,
                              uint64_t took_ns)
{
    struct service *s = context;
    enum query_area area = ingest_owns(request->path)                  ? QUERY_INGEST
                           : bytes_starts_with(request->path, "/api/") ? QUERY_API
                                                                       : QUERY_PORTAL;
    histogram_add(&s->meters.requests[area], took_ns);
    log_debug(s->log, "http", "answered method=%.*s path=%.*s status=%d ms=%llu",
              (int)request->method.len, (const char *)request->method.data, (int)request->path.len,
              (const char *)request->path.data, status, (unsigned long long)(took_ns / NS_PER_MS));
}

static void add_http(struct http_server_counters *sum, const struct http_server *server)
{
    struct http_server_counters one;
    if (!server)
        return;
    http_server_counters(server, &one);
    sum->connections_total += one.connections_total;
    sum->connections_open += one.connections_open;
    sum->requests_total += one.requests_total;
    sum->bytes_in_total += one.bytes_in_total;
    sum->bytes_out_total += one.bytes_out_total;
    for (int i = 0; i < 6; i++)
        sum->answered_total[i] += one.answered_total[i];
}

static void put_more_metrics(void *context, struct metrics *m)
{
    struct service *s = context;
    struct http_server_counters sum = {0};
    char labels[24];
    for (unsigned i = 0; i < s->lane_count; i++) {
        add_http(&sum, s->lanes[i].http);
        add_http(&sum, s->lanes[i].grpc);
    }
    metrics_put(m, "claude_telemetry_connections_open", "gauge", "Connections.",
                sum.connections_open);
    metrics_put(m, "claude_telemetry_connections_total", "counter", "Connections accepted.",
                sum.connections_total);
    metrics_put(m, "claude_telemetry_http_requests_total", "counter", "Requests whose head came.",
                sum.requests_total);
    metrics_put_name(m, "claude_telemetry_http_answers_total", "counter",
                     "Answers by class of status.");
    for (int i = 1; i < 6; i++) {
        snprintf(labels, sizeof labels, "{class=\"%dxx\"}", i);
        metrics_put_sample(m, "claude_telemetry_http_answers_total", labels, sum.answered_total[i]);
    }
    metrics_put(m, "claude_telemetry_http_received_bytes_total", "counter", "Bytes read.",
                sum.bytes_in_total);
    metrics_put(m, "claude_telemetry_http_sent_bytes_total", "counter", "Bytes written.",
                sum.bytes_out_total);
    metrics_put_name(m, "claude_telemetry_build_info", "gauge", "Which program this is.");
    metrics_put_sample(m, "claude_telemetry_build_info", "{version=\"" CT_VERSION "\"}", 1);
    fleet_put_metrics(s->fleet, m);
}

/* ---- Parts ---- */

static bool open_parts(struct service *s, struct error *err)
{
    const struct settings *settings = s->settings;
    s->control = command_open_control(settings, err);
    s->messages = s->control ? command_open_messages(settings, err) : NULL;
    s->login = s->messages ? login_create(s->control, s->clock, err) : NULL;
    if (!s->login)
        return false;
    s->sessions = sessions_create(s->control, s->clock);
    s->gate = gate_create(&(struct gate_options){.control = s->control, .clock = s->clock});
    s->prices = prices_create_builtin();
    s->ingest = ingest_create(&(struct ingest_options){
        .store = s->messages,
        .gate = s->gate,
        .clock = s->clock,
        .log = s->log,
        .prices = s->prices,
        .max_request_bytes = settings->max_request_mib * MIB,
    });
    s->router = router_create(
        &(struct router_options){.login = s->login, .sessions = s->sessions, .log = s->log});
    s->bodies = http_budget_create(settings->max_receiving_mib * MIB);
    s->meters =
        (struct query_meters){.bodies = s->bodies, .context = s, .put_more = put_more_metrics};
    for (int i = 0; i < QUERY_AREAS; i++)
        s->meters.requests[i] = histogram_of_time();
    s->ready = ready_create(&(struct ready_options){.control = s->control,
                                                    .messages = s->messages,
                                                    .ingest = s->ingest,
                                                    .fs = &fs_real,
                                                    .data = settings->data,
                                                    .clock = s->clock});
    s->people = people_create(s->messages, s->control, s->clock, err);
    if (!s->people)
        return false;
    enum privacy viewers = settings->viewers_in_cohorts ? PRIVACY_COHORTS : PRIVACY_SUMS;
    s->query = (struct query){
        .messages = s->messages,
        .control = s->control,
        .integrations = &settings->integrations,
        .people = s->people,
        .viewers = viewers,
        .ingest = s->ingest,
        .gate = s->gate,
        .login = s->login,
        .ready = s->ready,
        .meters = &s->meters,
        .clock = s->clock,
        .log = s->log,
        .started_ns = clock_wall_ns(s->clock),
    };
    s->portal = portal_create(&(struct portal_options){
        .messages = s->messages,
        .control = s->control,
        .integrations = &settings->integrations,
        .people = s->people,
        .viewers = viewers,
        .login = s->login,
        .sessions = s->sessions,
        .clock = s->clock,
        .log = s->log,
    });
    s->fleet = fleet_create(&(struct fleet_options){
        .control = s->control,
        .messages = s->messages,
        .ingest = s->ingest,
        .gate = s->gate,
        .integrations = &settings->integrations,
        .clock = s->clock,
        .log = s->log,
        .device_token_days = settings->device_token_days,
    });
    struct route_table api = query_routes(&s->query), pages = portal_routes(s->portal);
    struct route_table devices = fleet_routes(s->fleet);
    router_add(s->router, &api);
    router_add(s->router, &devices);
    router_add(s->router, &pages);
    s->housekeeping = housekeeping_create(&(struct housekeeping_options){.messages = s->messages,
                                                                         .control = s->control,
                                                                         .owner = s->id,
                                                                         .fleet = s->fleet,
                                                                         .gate = s->gate,
                                                                         .ingest = s->ingest,
                                                                         .clock = s->clock,
                                                                         .log = s->log,
                                                                         .every_ms = s->round_ms});
    s->alerts = alerts_create(&(struct alerts_options){.control = s->control,
                                                       .clock = s->clock,
                                                       .log = s->log,
                                                       .webhook_url = settings->alert_webhook_url,
                                                       .secret = settings->alert_secret,
                                                       .slack_url = settings->alert_slack_url,
                                                       .ca_file = settings->alert_ca_file,
                                                       .after_s = settings->alert_after_s,
                                                       .every_s = settings->alert_every_s,
                                                       .owner = s->id});
    if (settings->import_daily)
        s->schedule = schedule_create(&(struct schedule_options){.store = s->control,
                                                                 .with = &settings->integrations,
                                                                 .clock = s->clock,
                                                                 .log = s->log});
    return true;
}

/* One server process a data directory: two would fight over the same files. */
static bool take_lock(struct service *s, struct error *err)
{
    char *path = xasprintf("%s/server.lock", s->settings->data);
    s->lock = fs_real.open(fs_real.disk, path, FS_WRITE | FS_CREATE, 0600, err);
    bool taken = s->lock && fs_real.lock(fs_real.disk, s->lock, err);
    free(path);
    if (!taken && err->kind == FAIL_BUSY) {
        error_set(err, FAIL_BUSY, "a server already runs on '%s'", s->settings->data);
        error_remedy(err, "stop it first, or give another --data");
    }
    return taken;
}

/* Kept in the data directory: what a server did before a restart it goes on doing after it. */
static bool take_id(struct service *s, struct error *err)
{
    struct buffer text = {.max_bytes = sizeof s->id};
    char *path = xasprintf("%s/server-id", s->settings->data);
    struct error none = {0};
    bool there = fs_read_file(&fs_real, path, &text, &none) && text.len == sizeof s->id - 1;
    bool good = true;
    if (there) {
        memcpy(s->id, text.data, text.len);
    } else {
        platform_uuid(s->id);
        good = fs_replace_file(&fs_real, path, bytes_of(s->id), 0600, err);
    }
    free(path);
    buffer_clear(&text);
    return good;
}

/* ---- Lanes ---- */

static struct http_server *make_server(struct service *s, struct loop *loop, struct error *err)
{
    const struct http_server_options options = {
        .handlers = {.context = s,
                     .on_head = front_on_head,
                     .on_request = front_on_request,
                     .make_error = front_make_error,
                     .on_answered = front_on_answered},
        .budget = s->bodies,
        .max_body_bytes = s->settings->max_request_mib * MIB,
        .max_connections = s->max_connections,
        .tls_cert_file = s->settings->tls_cert,
        .tls_key_file = s->settings->tls_key,
    };
    return http_server_create(loop, &options, err);
}

/*
 * Sharing a port needs SO_REUSEPORT, with which a port that another program
 * shares likewise would not count as taken. So it is taken once without, which
 * also chooses the number when none was given.
 */
static bool settle_address(struct service *s, const char *address, char out[512], struct error *err)
{
    struct http_server *probe = make_server(s, s->lanes[0].loop, err);
    bool free_to_take = probe && http_server_listen(probe, address, false, err);
    if (free_to_take) {
        const char *colon = strrchr(address, ':');
        snprintf(out, 512, "%.*s:%u", (int)(colon - address), address,
                 (unsigned)http_server_port(probe));
    } else if (probe) {
        error_remedy(err, "choose another address, or stop what listens on '%s'", address);
    }
    http_server_destroy(probe);
    return free_to_take;
}

static bool open_lanes(struct service *s, char http[512], char grpc[512], struct error *err)
{
    unsigned wanted = s->settings->loops < MAX_LOOPS ? s->settings->loops : MAX_LOOPS;
    grpc[0] = '\0';
    size_t sockets = socket_allow(SOCKETS),
           others = sockets < 2 * OTHER_FILES ? sockets / 2 : OTHER_FILES;
    s->max_connections = (sockets - others) / wanted / (s->settings->grpc_listen[0] ? 2 : 1);
    for (; s->lane_count < wanted; s->lane_count++) {
        s->lanes[s->lane_count].service = s;
        s->lanes[s->lane_count].loop = loop_create(err);
        if (!s->lanes[s->lane_count].loop)
            return false;
    }
    if (!settle_address(s, s->settings->listen, http, err) ||
        (s->settings->grpc_listen[0] && !settle_address(s, s->settings->grpc_listen, grpc, err)))
        return false;
    for (unsigned i = 0; i < s->lane_count; i++) {
        struct lane *lane = &s->lanes[i];
        lane->http = make_server(s, lane->loop, err);
        if (!lane->http || !http_server_listen(lane->http, http, true, err))
            return false;
        if (!grpc[0])
            continue;
        lane->grpc = make_server(s, lane->loop, err);
        if (!lane->grpc || !http_server_listen(lane->grpc, grpc, true, err))
            return false;
    }
    return true;
}

static void *run_lane(void *context)
{
    struct lane *lane = context;
    loop_run(lane->loop);
    return NULL;
}

/* ---- Stopping ---- */

static void lane_drained(void *context)
{
    struct lane *lane = context;
    if (--lane->draining == 0)
        loop_stop(lane->loop);
}

static void drain_lane(void *context)
{
    struct lane *lane = context;
    if (lane->stopping)
        return; /* a second signal, which may be looked at when the servers are gone */
    lane->stopping = true;
    lane->draining = lane->grpc ? 2 : 1;
    http_server_drain(lane->http, DRAIN_MS, lane_drained, lane);
    if (lane->grpc)
        http_server_drain(lane->grpc, DRAIN_MS, lane_drained, lane);
}

static void on_stop(void *context)
{
    struct service *s = context;
    log_info(s->log, "server", "stopping: answering what was accepted");
    for (unsigned i = 0; i < s->lane_count; i++)
        loop_post(s->lanes[i].loop, drain_lane, &s->lanes[i]);
}

static void reload_lane(void *context)
{
    struct lane *lane = context;
    struct error err = {0};
    if (lane->stopping)
        return;
    if (!http_server_reload_tls(lane->http, &err) ||
        (lane->grpc && !http_server_reload_tls(lane->grpc, &err)))
        log_failure(lane->service->log, LOG_ERROR_LEVEL, "server", "cannot read the certificate",
                    &err);
}

static void on_reload(void *context)
{
    struct service *s = context;
    for (unsigned i = 0; s->settings->tls_cert && i < s->lane_count; i++)
        loop_post(s->lanes[i].loop, reload_lane, &s->lanes[i]);
}

static void close_all(struct service *s)
{
    alerts_destroy(s->alerts);
    schedule_destroy(s->schedule);
    housekeeping_destroy(s->housekeeping);
    router_destroy(s->router);
    portal_destroy(s->portal);
    people_destroy(s->people);
    fleet_destroy(s->fleet);
    ingest_destroy(s->ingest);
    for (unsigned i = 0; i < s->lane_count; i++) {
        http_server_destroy(s->lanes[i].http);
        http_server_destroy(s->lanes[i].grpc);
    }
    for (unsigned i = 0; i < s->lane_count; i++)
        loop_destroy(s->lanes[i].loop);
    http_budget_destroy(s->bodies);
    ready_destroy(s->ready);
    prices_destroy(s->prices);
    gate_destroy(s->gate);
    sessions_destroy(s->sessions);
    login_destroy(s->login);
    if (s->messages)
        s->messages->kind->close(s->messages);
    if (s->control)
        s->control->kind->close(s->control);
    fs_real.close(fs_real.disk, s->lock);
    log_destroy(s->log);
}

/* ---- Telling where it listens ---- */

static bool write_address_file(const struct service *s, const char *url, const char *grpc,
                               struct error *err)
{
    struct buffer json = {.max_bytes = 4 * KIB};
    struct json_writer w = json_writer_make(&json);
    char *path = xasprintf("%s/server.json", s->settings->data);
    json_object_open(&w);
    json_put_key(&w, "url");
    json_put_string(&w, url);
    json_put_key(&w, "grpcAddress");
    json_put_string(&w, grpc[0] ? grpc : NULL);
    json_put_key(&w, "pid");
    json_put_int(&w, getpid());
    json_put_key(&w, "startedAt");
    json_put_time(&w, s->query.started_ns);
    json_object_close(&w);
    bool done =
        json_writer_ok(&w) && fs_replace_file(&fs_real, path, buffer_bytes(&json), 0644, err);
    free(path);
    buffer_clear(&json);
    return done;
}

static bool announce(const struct service *s, const char *http, const char *grpc, struct error *err)
{
    char url[600];
    snprintf(url, sizeof url, "%s://%s", s->settings->tls_cert ? "https" : "http", http);
    if (!write_address_file(s, url, grpc, err))
        return false;
    printf("listening on %s\n", url);
    if (grpc[0])
        printf("listening for gRPC on %s\n", grpc);
    fflush(stdout);
    log_info(s->log, "server", "listening url=%s version=%s", url, CT_VERSION);
    return true;
}

static bool start(struct service *s, struct error *err)
{
    char http[512], grpc[512];
    struct loop *main_loop;
    if (!take_lock(s, err) || !take_id(s, err) || !open_parts(s, err) ||
        !open_lanes(s, http, grpc, err))
        return false;
    main_loop = s->lanes[0].loop;
    return loop_on_signal(main_loop, SIGTERM, on_stop, s, err) &&
           loop_on_signal(main_loop, SIGINT, on_stop, s, err) &&
           loop_on_signal(main_loop, SIGHUP, on_reload, s, err) && announce(s, http, grpc, err);
}

int serve_with_clock(const struct settings *settings, const struct clock *clock, uint32_t round_ms)
{
    struct error err = {0};
    struct service *s = xcalloc(1, sizeof *s);
    s->settings = settings;
    s->clock = clock;
    s->round_ms = round_ms;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    s->log = log_create((enum log_level)settings->log_level, settings->log_json);
    int code = EXIT_DONE;
    if (start(s, &err)) {
        for (unsigned i = 1; i < s->lane_count; i++)
            if (pthread_create(&s->lanes[i].thread, NULL, run_lane, &s->lanes[i]) != 0)
                abort(); /* at start, as when memory is gone */
        run_lane(&s->lanes[0]);
        for (unsigned i = 1; i < s->lane_count; i++)
            pthread_join(s->lanes[i].thread, NULL);
    } else {
        code = command_fail(&err);
    }
    close_all(s);
    free(s);
    return code;
}

int command_serve(const struct options *o, const struct settings *settings)
{
    (void)o;
    return serve_with_clock(settings, &platform_clock, HOUSEKEEPING_MS);
}
