#include "agent/relay/gate.h"

static bool is_ipv4_loopback(struct bytes name)
{
    unsigned dots = 0;
    unsigned digits = 0;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (c == '.' && digits > 0) {
            dots++;
            digits = 0;
        } else if (c >= '0' && c <= '9' && digits < 3) {
            digits++;
        } else {
            return false;
        }
    }
    return dots == 3 && digits > 0 && bytes_starts_with(name, "127.");
}

bool gate_host_is_loopback(struct bytes host)
{
    if (host.len == 0)
        return false;
    size_t end = 0;
    if (host.data[0] == '[') {
        while (end < host.len && host.data[end] != ']')
            end++;
        end += end < host.len;
    } else {
        while (end < host.len && host.data[end] != ':')
            end++;
    }
    for (size_t i = end; i < host.len; i++)
        if (i == end ? host.data[i] != ':' : host.data[i] < '0' || host.data[i] > '9')
            return false;
    struct bytes name = bytes_make(host.data, end);
    return bytes_equal_ignoring_case(name, "localhost") || bytes_equal_text(name, "[::1]") ||
           is_ipv4_loopback(name);
}

static struct bytes host_of(const struct http_request *request)
{
    struct bytes host = http_request_header(request, "host");
    return host.data ? host : http_request_header(request, ":authority");
}

struct bytes gate_token(const struct http_request *request)
{
    struct bytes own = http_request_header(request, "x-relay-token");
    if (own.len > 0)
        return own;
    struct bytes bearer = http_request_header(request, "authorization");
    enum { SCHEME = 7 };
    if (bearer.len <= SCHEME ||
        !bytes_equal_ignoring_case(bytes_make(bearer.data, SCHEME), "bearer "))
        return (struct bytes){0};
    return bytes_make(bearer.data + SCHEME, bearer.len - SCHEME);
}

static void find_route(const struct http_request *request, struct gate *gate)
{
    gate->route = GATE_NONE;
    if (bytes_equal_text(request->path, "/healthz"))
        gate->route = GATE_HEALTH;
    else if (bytes_equal_text(request->path, "/metrics"))
        gate->route = GATE_METRICS;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++) {
        enum otlp_signal signal = (enum otlp_signal)s;
        bool http = bytes_equal_text(request->path, otlp_signal_path(signal));
        if (!http && !bytes_equal_text(request->path, otlp_signal_grpc_path(signal)))
            continue;
        gate->route = http ? GATE_OTLP : GATE_GRPC;
        gate->signal = signal;
    }
}

static void refuse(struct gate *gate, int status, enum relay_refusal reason, const char *message)
{
    gate->status = status;
    gate->reason = reason;
    gate->message = message;
}

struct gate gate_look(const struct http_request *request)
{
    struct gate gate = {.encoding = OTLP_PROTOBUF};
    struct bytes type = http_request_header(request, "content-type");
    bool known_type = otlp_encoding_of(type, &gate.encoding);
    find_route(request, &gate);

    bool reads =
        bytes_equal_text(request->method, "GET") || bytes_equal_text(request->method, "HEAD");
    bool posts = bytes_equal_text(request->method, "POST");
    bool pages = gate.route == GATE_HEALTH || gate.route == GATE_METRICS;
    if (http_request_header(request, "origin").data)
        refuse(&gate, 403, RELAY_REFUSED_ORIGIN, "requests of web pages are not taken");
    else if (!gate_host_is_loopback(host_of(request)))
        refuse(&gate, 403, RELAY_REFUSED_ORIGIN,
               "the Host is not this machine; send to 127.0.0.1 or localhost");
    else if (gate.route == GATE_NONE)
        refuse(&gate, 404, RELAY_REFUSED_PATH,
               "no such path; OTLP goes to /v1/logs, /v1/metrics and /v1/traces");
    else if (pages ? !reads : !posts) {
        refuse(&gate, 405, RELAY_REFUSED_PATH,
               pages ? "only GET is answered here" : "only POST is taken here");
        gate.allow = pages ? "GET, HEAD" : "POST";
    } else if (gate.route == GATE_GRPC ? !request->is_grpc : !pages && !known_type)
        refuse(&gate, 415, RELAY_REFUSED_TYPE, "send application/x-protobuf or application/json");
    return gate;
}
