#include "core/otlp/signal.h"

static const struct {
    const char *name, *path, *grpc_path;
} signals[OTLP_SIGNAL_COUNT] = {
    [OTLP_LOGS] = {"logs", "/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"},
    [OTLP_METRICS] = {"metrics", "/v1/metrics",
                      "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"},
    [OTLP_TRACES] = {"traces", "/v1/traces",
                     "/opentelemetry.proto.collector.trace.v1.TraceService/Export"},
};

const char *otlp_signal_name(enum otlp_signal signal)
{
    return signals[signal].name;
}

const char *otlp_signal_path(enum otlp_signal signal)
{
    return signals[signal].path;
}

const char *otlp_signal_grpc_path(enum otlp_signal signal)
{
    return signals[signal].grpc_path;
}

bool otlp_signal_of_name(struct bytes name, enum otlp_signal *out)
{
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        if (bytes_equal_text(name, signals[i].name)) {
            *out = (enum otlp_signal)i;
            return true;
        }
    }
    return false;
}
