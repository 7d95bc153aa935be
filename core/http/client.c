#include "core/http/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/certificate.h"
#include "core/http/system_proxy.h"
#include "platform/proxy.h"

enum {
    TIMEOUT_MS = 30000,
    CONNECT_TIMEOUT_MS = 10000,
    ANSWER_BYTES = 4 * 1024 * 1024,
    HEADER_BYTES = 64 * 1024,
};

struct http_transfer {
    struct http_client *client; /* NULL in a blocking call */
    struct http_transfer *next, **link;
    CURL *easy;
    struct http_line *line; /* whose `easy` it is; NULL: our own */
    struct curl_slist *header_lines;
    char *ca_file;
    struct http_certificate_watch *watch; /* what a TLS peer shows */
    struct http_certificate *certificate; /* who also wants to know; or NULL */
    bool is_tls;
    char *url, *host; /* where the system's settings are to say which proxy; else NULL */
    bool is_waiting;  /* until they have */
    size_t max_answer_bytes;
    struct buffer *body, *headers; /* the two below, or a blocking caller's */
    struct buffer own_body, own_headers;
    char curl_says[CURL_ERROR_SIZE];
    char we_say[256]; /* our own reason, better than curl's; "" when none */
    http_done *done;
    void *context;
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer;
    struct http_transfer *transfers;
    struct system_proxies *proxies; /* NULL where the system has none */
};

struct http_line {
    CURL *easy; /* keeps its connections over curl_easy_reset() */
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_transfer *t = context;
    size_t len = size * count;
    if (t->body->len + len <= t->max_answer_bytes && buffer_append(t->body, bytes_make(data, len)))
        return len;
    snprintf(t->we_say, sizeof t->we_say, "the answer exceeds %zu bytes", t->max_answer_bytes);
    return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct http_transfer *t = context;
    struct bytes line = bytes_make(data, size * count);
    if (bytes_starts_with(line, "HTTP/")) {
        buffer_reset(t->headers); /* what came before was an interim answer */
        return line.len;
    }
    if (buffer_append(t->headers, line))
        return line.len;
    snprintf(t->we_say, sizeof t->we_say, "the answer's headers exceed %zu bytes",
             t->headers->max_bytes);
    return 0;
}

static CURLcode on_tls_setup(CURL *easy, void *tls_context, void *context)
{
    (void)easy;
    struct http_transfer *t = context;
    http_certificate_watch_tls(tls_context, t->watch);
    if (!t->ca_file || SSL_CTX_load_verify_locations(tls_context, t->ca_file, NULL) == 1)
        return CURLE_OK;
    snprintf(t->we_say, sizeof t->we_say, "cannot read certificates from the CA file '%s'",
             t->ca_file);
    return CURLE_SSL_CACERT_BADFILE;
}

static bool is_loopback(const char *host)
{
    size_t len = strlen(host);
    struct bytes name = bytes_make(host, len);
    if (len > 0 && host[len - 1] == '.')
        name.len--;
    if (bytes_equal_ignoring_case(name, "localhost") || bytes_equal_text(name, "[::1]"))
        return true;
    if (name.len > 10 &&
        bytes_equal_ignoring_case(bytes_make(name.data + name.len - 10, 10), ".localhost"))
        return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

/* What of a URL decides how it is fetched. One that does not parse is curl's to report. */
struct target {
    char *host; /* "" when there is none; curl_free() */
    bool is_loopback, is_tls;
};

static struct target inspect_url(const char *text)
{
    CURLU *url = curl_url();
    struct target target = {0};
    char *scheme = NULL;
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        if (curl_url_get(url, CURLUPART_HOST, &target.host, 0) == CURLUE_OK)
            target.is_loopback = is_loopback(target.host);
        if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK)
            target.is_tls = strcmp(scheme, "https") == 0;
    }
    curl_free(scheme);
    curl_url_cleanup(url);
    return target;
}

/* Whether a variable that libcurl reads says what the proxy is, be it that there is none. */
static bool environment_names_proxy(bool is_tls)
{
    static const char *const tls[] = {"https_proxy", "HTTPS_PROXY"}, *const plain[] = {
                                                                         "http_proxy"};
    if (getenv("all_proxy") || getenv("ALL_PROXY"))
        return true;
    return is_tls ? getenv(tls[0]) || getenv(tls[1]) : getenv(plain[0]) != NULL;
}

static void set_method(CURL *easy, const struct http_call *call)
{
    const char *method = call->method ? call->method : "GET";
    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (strcmp(method, "GET") == 0 && call->body.len == 0) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     call->body.len > 0 ? (const char *)call->body.data : "");
    if (strcmp(method, "POST") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_headers(struct http_transfer *t, const struct http_call *call)
{
    /* Neither a form's content type nor a second's wait for "100 Continue", unless asked for. */
    bool has_type = false;
    struct curl_slist *lines = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; call->headers && call->headers[i]; i++) {
        const char *line = call->headers[i];
        has_type = has_type ||
                   bytes_equal_ignoring_case(bytes_make(line, strcspn(line, ":")), "content-type");
        lines = curl_slist_append(lines, line);
    }
    if (!has_type)
        lines = curl_slist_append(lines, "Content-Type:");
    t->header_lines = lines;
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, lines);
}

/* The variables that the curl program reads for libcurl, which itself knows only the proxies'. */
static void set_system_certificates(CURL *easy)
{
    const char *file = getenv("CURL_CA_BUNDLE"), *directory = getenv("SSL_CERT_DIR");
    if (!file || !file[0])
        file = getenv("SSL_CERT_FILE");
    if (file && file[0])
        curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (directory && directory[0])
        curl_easy_setopt(easy, CURLOPT_CAPATH, directory);
}

static void set_route(struct http_transfer *t, const struct http_call *call)
{
    struct target target = inspect_url(call->url);
    t->is_tls = target.is_tls;
    if (target.is_loopback) {
        curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    } else if (call->proxy) {
        curl_easy_setopt(t->easy, CURLOPT_PROXY, call->proxy);
    } else if (target.host && platform_keeps_proxies() && !environment_names_proxy(t->is_tls)) {
        t->url = xstrdup(call->url);
        t->host = xstrdup(target.host);
    }
    curl_free(target.host);
    curl_easy_setopt(t->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

    set_system_certificates(t->easy);
    /* Where the system keeps certificates in a store and not in files: Windows. */
    curl_easy_setopt(t->easy, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_NATIVE_CA);
    curl_easy_setopt(t->easy, CURLOPT_PROXY_SSL_OPTIONS, (long)CURLSSLOPT_NATIVE_CA);
    t->certificate = call->certificate;
    t->watch = http_certificate_watch_create();
    t->ca_file = xstrdup(call->ca_file);
    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_setup);
    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_DATA, t);
    /* curl shares one cached certificate store: ours would leak into calls without ca_file. */
    if (call->ca_file)
        curl_easy_setopt(t->easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

static void transfer_init(struct http_transfer *t, const struct http_call *call)
{
    t->line = call->line;
    t->easy = t->line ? t->line->easy : curl_easy_init();
    assert(t->easy);
    t->max_answer_bytes = call->max_answer_bytes ? call->max_answer_bytes : ANSWER_BYTES;
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_says);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancel does not wait for the resolver */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "claude-telemetry");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     (long)(call->timeout_ms ? call->timeout_ms : TIMEOUT_MS));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(call->connect_timeout_ms ? call->connect_timeout_ms
                                                     : CONNECT_TIMEOUT_MS));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    set_method(easy, call);
    set_headers(t, call);
    set_route(t, call);
    if (call->is_grpc)
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         t->is_tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
}

static void transfer_clear(struct http_transfer *t)
{
    if (t->line)
        curl_easy_reset(t->easy);
    else
        curl_easy_cleanup(t->easy);
    http_certificate_watch_release(t->watch);
    free(t->url);
    free(t->host);
    curl_slist_free_all(t->header_lines);
    free(t->ca_file);
    buffer_clear(&t->own_body);
    buffer_clear(&t->own_headers);
}

static bool reached(CURL *easy, CURLINFO time)
{
    curl_off_t microseconds = 0;
    curl_easy_getinfo(easy, time, &microseconds);
    return microseconds > 0;
}

/* By the local port, for curl counts the TLS handshake as part of connecting. */
static bool is_connected(CURL *easy)
{
    long port = 0;
    curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
    return port > 0 || reached(easy, CURLINFO_CONNECT_TIME_T);
}

static enum http_stage stage_of(const struct http_transfer *t, CURLcode code)
{
    long tunnel_status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &tunnel_status);
    switch (code) {
    case CURLE_OK:
        return HTTP_STAGE_DONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_URL_MALFORMAT:
        return HTTP_STAGE_RESOLVE;
    case CURLE_UNSUPPORTED_PROTOCOL: /* of the URL, or what answers is no HTTP/1 */
        return is_connected(t->easy) ? HTTP_STAGE_SEND : HTTP_STAGE_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return HTTP_STAGE_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return HTTP_STAGE_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        if (!reached(t->easy, CURLINFO_NAMELOOKUP_TIME_T))
            return HTTP_STAGE_RESOLVE;
        if (!is_connected(t->easy))
            return HTTP_STAGE_CONNECT;
        if (t->is_tls && !reached(t->easy, CURLINFO_APPCONNECT_TIME_T))
            return HTTP_STAGE_TLS;
        return HTTP_STAGE_SEND;
    default:
        return tunnel_status >= 300 ? HTTP_STAGE_CONNECT : HTTP_STAGE_SEND;
    }
}

/* Whose certificate it is and what is wrong with it, where curl tells the second alone. */
static void name_certificate(struct http_transfer *t)
{
    const struct http_certificate *seen = http_certificate_seen(t->watch);
    if (seen->is_there && seen->fault != HTTP_CERTIFICATE_SOUND)
        snprintf(t->we_say, sizeof t->we_say,
                 "the certificate for '%.80s', issued by '%.60s', is refused: %.80s",
                 seen->names[0] ? seen->names : "an unnamed server", seen->authority, seen->words);
}

static void fill_result(struct http_transfer *t, CURLcode code, struct http_result *result)
{
    long status = 0;
    curl_off_t microseconds = 0, connected = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);

    *result = (struct http_result){.stage = stage_of(t, code), .error = ""};
    if (result->stage == HTTP_STAGE_TLS && !t->we_say[0])
        name_certificate(t);
    if (t->certificate)
        *t->certificate = *http_certificate_seen(t->watch);
    result->duration_ms = (uint64_t)microseconds / 1000;
    result->answer_ms = (uint64_t)(microseconds - connected) / 1000;
    if (result->stage == HTTP_STAGE_DONE) {
        result->status = (int)status;
        result->body = buffer_bytes(t->body);
        result->headers = buffer_bytes(t->headers);
    } else if (t->we_say[0]) {
        result->error = t->we_say;
    } else {
        result->error = t->curl_says[0] ? t->curl_says : curl_easy_strerror(code);
    }
}

static void unlink_transfer(struct http_transfer *t)
{
    if (!t->is_waiting)
        curl_multi_remove_handle(t->client->multi, t->easy);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
}

static void report_finished(struct http_client *client)
{
    CURLMsg *message;
    int queued;
    while ((message = curl_multi_info_read(client->multi, &queued))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* gone once the handle is removed */
        struct http_transfer *t = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        struct http_result result;
        fill_result(t, code, &result);
        unlink_transfer(t);
        t->done(t->context, &result);
        transfer_clear(t);
        free(t);
    }
}

static void on_socket_ready(void *context, int fd, unsigned events)
{
    struct http_client *client = context;
    int flags = ((events & LOOP_READABLE) ? CURL_CSELECT_IN : 0) |
                ((events & LOOP_WRITABLE) ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(client->multi, (curl_socket_t)fd, flags, &running);
    report_finished(client);
}

static int on_socket_wish(CURL *easy, curl_socket_t fd, int what, void *context, void *of_socket)
{
    (void)easy;
    struct http_client *client = context;
    struct loop_watch *watch = of_socket;
    if (what == CURL_POLL_REMOVE) {
        loop_watch_remove(watch);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) ? LOOP_READABLE : 0u) |
                      ((what & CURL_POLL_OUT) ? LOOP_WRITABLE : 0u);
    if (watch)
        loop_watch_change(watch, events);
    else
        curl_multi_assign(client->multi, fd,
                          loop_watch_add(client->loop, (int)fd, events, on_socket_ready, client));
    return 0;
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct http_client *client = context;
    if (timeout_ms < 0)
        loop_timer_cancel(client->timer);
    else
        loop_timer_set(client->timer, (uint64_t)timeout_ms);
    return 0;
}

static void on_timeout(void *context)
{
    struct http_client *client = context;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    report_finished(client);
}

struct http_client *http_client_create(struct loop *loop, struct error *err)
{
    struct http_client *client = xcalloc(1, sizeof *client);
    client->loop = loop;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    client->timer = loop_timer_create(loop, on_timeout, client);
    client->proxies = platform_keeps_proxies() ? system_proxies_create(loop) : NULL;
    client->multi = curl_multi_init();
    if (!client->multi) {
        error_set(err, FAIL_IO, "cannot start libcurl");
        http_client_destroy(client);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    return client;
}

void http_client_destroy(struct http_client *client)
{
    if (!client)
        return;
    while (client->transfers)
        http_client_cancel(client->transfers);
    if (client->multi)
        curl_multi_cleanup(client->multi); /* closes idle connections, through on_socket_wish */
    loop_timer_destroy(client->timer);
    system_proxies_destroy(client->proxies);
    curl_global_cleanup();
    free(client);
}

static void on_proxy_known(void *context);

/* Hands the transfer to curl as soon as its proxy is known. */
static void start(struct http_transfer *t)
{
    struct http_client *client = t->client;
    const char *proxy =
        t->url ? system_proxies_find(client->proxies, t->url, t->host, on_proxy_known, client) : "";
    t->is_waiting = proxy == NULL;
    if (t->is_waiting)
        return;
    if (*proxy)
        curl_easy_setopt(t->easy, CURLOPT_PROXY, proxy);
    CURLMcode added = curl_multi_add_handle(client->multi, t->easy);
    assert(added == CURLM_OK);
    (void)added;
}

static void on_proxy_known(void *context)
{
    struct http_client *client = context;
    for (struct http_transfer *t = client->transfers; t; t = t->next)
        if (t->is_waiting)
            start(t);
}

struct http_transfer *http_client_start(struct http_client *client, const struct http_call *call,
                                        http_done *done, void *context)
{
    struct http_transfer *t = xcalloc(1, sizeof *t);
    t->client = client;
    t->done = done;
    t->context = context;
    transfer_init(t, call);
    t->own_body.max_bytes = t->max_answer_bytes;
    t->own_headers.max_bytes = HEADER_BYTES;
    t->body = &t->own_body;
    t->headers = &t->own_headers;

    t->next = client->transfers;
    t->link = &client->transfers;
    if (t->next)
        t->next->link = &t->next;
    client->transfers = t;
    start(t);
    return t;
}

void http_client_cancel(struct http_transfer *t)
{
    unlink_transfer(t);
    transfer_clear(t);
    free(t);
}

/* libcurl asks this as often as it likes, and at least once a second. */
static int ask_cancelled(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct http_call *call = context;
    (void)a, (void)b, (void)c, (void)d;
    return call->cancelled(call->cancel_context);
}

void http_client_perform(const struct http_call *call, struct http_result *result,
                         struct buffer *body, struct buffer *headers)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct http_transfer t = {.body = body, .headers = headers};
    transfer_init(&t, call);
    if (body->max_bytes == 0)
        body->max_bytes = t.max_answer_bytes;
    if (headers->max_bytes == 0)
        headers->max_bytes = HEADER_BYTES;
    buffer_reset(body);
    buffer_reset(headers);

    struct http_call asked = *call;
    if (call->cancelled) {
        curl_easy_setopt(t.easy, CURLOPT_XFERINFOFUNCTION, ask_cancelled);
        curl_easy_setopt(t.easy, CURLOPT_XFERINFODATA, &asked);
        curl_easy_setopt(t.easy, CURLOPT_NOPROGRESS, 0L);
    }
    struct platform_proxy proxy = {0};
    if (t.url)
        platform_proxy_for(t.url, t.host, &proxy);
    if (proxy.url[0])
        curl_easy_setopt(t.easy, CURLOPT_PROXY, proxy.url);
    CURLcode code = curl_easy_perform(t.easy);
    fill_result(&t, code, result);
    if (result->stage != HTTP_STAGE_DONE) {
        /* The text must outlive the transfer; the headers of a failure are of no use. */
        buffer_reset(headers);
        const char *kept = buffer_append_text(headers, result->error) ? buffer_text(headers) : NULL;
        result->error = kept ? kept : "the request failed";
    }
    transfer_clear(&t);
    curl_global_cleanup();
}

struct http_line *http_line_create(void)
{
    struct http_line *line = xcalloc(1, sizeof *line);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    line->easy = curl_easy_init();
    assert(line->easy);
    return line;
}

void http_line_destroy(struct http_line *line)
{
    if (!line)
        return;
    curl_easy_cleanup(line->easy);
    curl_global_cleanup();
    free(line);
}
