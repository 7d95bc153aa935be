/* Metrics have two levels more: the metric, its data, and then the points. */
#include "core/otlp/walk.h"
#include "core/otlp/wire.h"

struct point_walk {
    otlp_point_visit *visit;
    void *context;
};

/* Where each kind keeps what; the schema numbers them differently. */
struct point_layout {
    uint32_t data;       /* in Metric */
    uint32_t attributes; /* in the point; 4 is the count in all but numbers */
    uint32_t flags;
};

static const struct point_layout layouts[] = {
    [OTLP_METRIC_GAUGE] = {.data = 5, .attributes = 7, .flags = 8},
    [OTLP_METRIC_SUM] = {.data = 7, .attributes = 7, .flags = 8},
    [OTLP_METRIC_HISTOGRAM] = {.data = 9, .attributes = 9, .flags = 10},
    [OTLP_METRIC_EXPONENTIAL_HISTOGRAM] = {.data = 10, .attributes = 1, .flags = 10},
    [OTLP_METRIC_SUMMARY] = {.data = 11, .attributes = 7, .flags = 8},
};
enum { KINDS = sizeof layouts / sizeof layouts[0] };

static void read_number(struct otlp_point *point, const struct wire_field *field)
{
    if (field->number == 4 && field->type == WIRE_I64)
        point->value = wire_double(field->value);
    else if (field->number == 6 && field->type == WIRE_I64)
        point->value = (double)(int64_t)field->value;
}

static void read_distribution(struct otlp_point *point, const struct wire_field *field)
{
    if (field->number == 4 && field->type == WIRE_I64)
        point->count = field->value;
    else if (field->number == 5 && field->type == WIRE_I64)
        point->value = wire_double(field->value);
}

static bool read_point(struct otlp_point *point, struct bytes message)
{
    const struct point_layout *layout = &layouts[point->kind];
    bool number = point->kind == OTLP_METRIC_GAUGE || point->kind == OTLP_METRIC_SUM;
    point->raw = message;
    point->attributes = (struct otlp_attributes){.message = message, .field = layout->attributes};
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field = {0};
    while (wire_next(&r, &field)) {
        if (field.number == layout->flags && field.type == WIRE_VARINT)
            point->no_recorded_value = (field.value & 1) != 0;
        else if (field.number == 2 && field.type == WIRE_I64)
            point->start_ns = field.value;
        else if (field.number == 3 && field.type == WIRE_I64)
            point->time_ns = field.value;
        else if (number)
            read_number(point, &field);
        else
            read_distribution(point, &field);
    }
    return !r.failed;
}

static void read_temporality(struct otlp_point *metric, uint64_t value)
{
    metric->temporality = value == OTLP_DELTA || value == OTLP_CUMULATIVE
                              ? (enum otlp_temporality)value
                              : OTLP_TEMPORALITY_UNSPECIFIED;
}

/* Temporality and monotonicity may follow the points they apply to. */
static bool read_data(struct otlp_point *metric, struct bytes data)
{
    struct wire_reader r = wire_reader_make(data);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number == 2 && field.type == WIRE_VARINT)
            read_temporality(metric, field.value);
        else if (field.number == 3 && field.type == WIRE_VARINT)
            metric->monotonic = field.value != 0;
    }
    return !r.failed;
}

static enum walk_outcome walk_points(const struct point_walk *walk, struct otlp_point metric,
                                     struct bytes data)
{
    if (!read_data(&metric, data))
        return WALK_MALFORMED;
    struct wire_reader r = wire_reader_make(data);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number != 1 || field.type != WIRE_LEN)
            continue;
        struct otlp_point point = metric;
        if (!read_point(&point, field.bytes))
            return WALK_MALFORMED;
        if (!walk->visit(walk->context, &point))
            return WALK_STOP;
    }
    return WALK_ON;
}

static enum walk_outcome visit_metric(void *context, const struct walk_place *place,
                                      struct bytes record)
{
    const struct point_walk *walk = context;
    struct otlp_point metric = {.resource = place->resource, .scope = place->scope};
    struct wire_reader r = wire_reader_make(record);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number == 1 && field.type == WIRE_LEN)
            metric.metric_name = field.bytes;
        else if (field.number == 3 && field.type == WIRE_LEN)
            metric.unit = field.bytes;
    }
    if (r.failed)
        return WALK_MALFORMED;

    r = wire_reader_make(record);
    while (wire_next(&r, &field)) {
        for (int kind = 0; kind < KINDS; kind++) {
            if (field.number != layouts[kind].data || field.type != WIRE_LEN)
                continue;
            metric.kind = (enum otlp_metric_kind)kind;
            enum walk_outcome outcome = walk_points(walk, metric, field.bytes);
            if (outcome != WALK_ON)
                return outcome;
        }
    }
    return WALK_ON;
}

bool otlp_walk_points(struct bytes request, otlp_point_visit *visit, void *context,
                      struct error *err)
{
    struct point_walk walk = {.visit = visit, .context = context};
    return walk_request(OTLP_METRICS, request, visit_metric, &walk, err);
}
