/* The three OTLP signals, their names and paths. */
#ifndef CORE_OTLP_SIGNAL_H
#define CORE_OTLP_SIGNAL_H

#include <stdbool.h>

#include "base/bytes.h"

enum otlp_signal { OTLP_LOGS, OTLP_METRICS, OTLP_TRACES, OTLP_SIGNAL_COUNT };

const char *otlp_signal_name(enum otlp_signal signal); /* "logs" */
const char *otlp_signal_path(enum otlp_signal signal); /* "/v1/logs" */
const char *otlp_signal_grpc_path(
    enum otlp_signal signal); /* "/opentelemetry.proto.collector.logs.v1.LogsService/Export" */
bool otlp_signal_of_name(struct bytes name, enum otlp_signal *out);

#endif
