/* Shared inside core/otlp: reading an AnyValue. */
#ifndef CORE_OTLP_VALUE_H
#define CORE_OTLP_VALUE_H

#include "core/otlp/otlp.h"

/* The value an AnyValue message holds; NONE when it holds none. */
struct otlp_value otlp_value_read(struct bytes message);

#endif
