#include "server/portal/view.h"

#include <stdio.h>

#include "server/portal/sheet.h"
#include "server/query/instant.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)

/* ---- Reading ---- */

static bool read_day(const struct route_call *call, const char *name, uint64_t *out, bool *given,
                     struct error *err)
{
    struct bytes text = arguments_get(&call->query, name);
    *given = text.len > 0;
    if (!*given || instant_parse_day(text, out))
        return true;
    return error_set(err, FAIL_INVALID, "'%s' must be a day like 2026-11-20", name);
}

/* `to` in the URL is the last day shown: people mean it so. */
static bool read_days(const struct portal *p, const struct route_call *call, struct view *v,
                      struct error *err)
{
    bool has_from, has_to;
    uint64_t days = VIEW_DEFAULT_DAYS;
    if (!read_day(call, "from", &v->from_ns, &has_from, err) ||
        !read_day(call, "to", &v->to_ns, &has_to, err) ||
        !arguments_get_number(&call->query, "days", 1, VIEW_MAX_DAYS, &days, err))
        return false;
    if (!has_to)
        v->to_ns = clock_wall_ns(p->clock) / DAY_NS * DAY_NS;
    v->to_ns += DAY_NS;
    if (!has_from)
        v->from_ns = v->to_ns > days * DAY_NS ? v->to_ns - days * DAY_NS : 0;
    if (v->from_ns >= v->to_ns || v->to_ns - v->from_ns > VIEW_MAX_DAYS * DAY_NS)
        return error_set(err, FAIL_INVALID, "'from' must be at most %d days before 'to'",
                         VIEW_MAX_DAYS);
    v->days = (unsigned)((v->to_ns - v->from_ns) / DAY_NS);
    return true;
}

static bool read_names(const struct portal *p, const struct route_call *call, struct view *v,
                       struct error *err)
{
    v->names_forced = call->who.role < ROLE_ANALYST;
    if (!privacy_read(call, p->viewers, &v->names, err))
        return false;
    if (v->names != PRIVACY_NAMED && v->person.len > 0)
        return error_set(err, FAIL_DENIED, "one person alone is shown by name only");
    return true;
}

static void add_filter(struct view *v, enum message_field field, struct bytes value)
{
    if (value.len == 0)
        return;
    size_t i = v->filter_count++;
    v->filter_values[i] = value;
    v->filters[i + 1] =
        (struct message_filter){.field = field, .values = &v->filter_values[i], .value_count = 1};
}

/* Rows do not carry the team in what is summed up by day, so a team is its people. */
static bool add_team(const struct portal *p, struct route_call *call, struct view *v,
                     struct error *err)
{
    struct bytes *members = NULL;
    size_t count = 0;
    if (v->team.len == 0)
        return true;
    if (!people_refresh(p->people, err))
        return false;
    if (!people_of_team(p->people, v->team, &call->arena, &members, &count))
        return error_set(err, FAIL_TOO_LARGE, "the team has too many people");
    if (v->names == PRIVACY_COHORTS && count < PRIVACY_MIN_COHORT)
        return error_set(err, FAIL_DENIED, "this team has fewer than %d people",
                         PRIVACY_MIN_COHORT);
    if (count == 0) {
        static const struct bytes nobody = {(const uint8_t *)"\x01nobody", 7};
        members = arena_alloc(&call->arena, sizeof nobody);
        if (members)
            members[count++] = nobody;
    }
    if (!members)
        return error_set(err, FAIL_TOO_LARGE, "the team has too many people");
    v->filters[++v->filter_count] =
        (struct message_filter){.field = FIELD_PERSON, .values = members, .value_count = count};
    return true;
}

bool view_read(const struct portal *p, struct route_call *call, struct view *out, struct error *err)
{
    *out = (struct view){.system = arguments_get(&call->query, "system"),
                         .model = arguments_get(&call->query, "model"),
                         .person = arguments_get(&call->query, "person"),
                         .team = arguments_get(&call->query, "team")};
    if (!read_days(p, call, out, err) || !read_names(p, call, out, err))
        return false;
    add_filter(out, FIELD_SYSTEM, out->system);
    add_filter(out, FIELD_MODEL, out->model);
    add_filter(out, FIELD_PERSON, out->person);
    if (!add_team(p, call, out, err))
        return false;
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    const struct message_query where = view_query(out, &generation);
    return out->names != PRIVACY_COHORTS || privacy_check_filters(p->messages, &where, err);
}

struct message_query view_query(struct view *view, const struct bytes *type)
{
    view->filters[0] =
        (struct message_filter){.field = FIELD_TYPE, .values = type, .value_count = 1};
    return (struct message_query){.filters = view->filters + (type ? 0 : 1),
                                  .filter_count = view->filter_count + (type ? 1 : 0),
                                  .from_ns = view->from_ns,
                                  .to_ns = view->to_ns,
                                  .time_limit_ms = PORTAL_TIME_LIMIT_MS};
}

bool view_wants(const struct view *v, struct bytes person, struct bytes model)
{
    if ((v->person.len > 0 && !bytes_equal(v->person, person)) ||
        (v->model.len > 0 && !bytes_equal(v->model, model)))
        return false;
    if (v->team.len == 0)
        return true;
    const struct message_filter *members = &v->filters[v->filter_count];
    for (size_t i = 0; i < members->value_count; i++)
        if (bytes_equal(members->values[i], person))
            return true;
    return false;
}

/* ---- Showing ---- */

static void put_parameter(struct page *page, const char *name, struct bytes value)
{
    if (value.len == 0)
        return;
    html_raw(page, "&amp;");
    html_raw(page, name);
    html_raw(page, "=");
    html_url(page, value);
}

void view_put_parameters(struct page *page, const struct view *view)
{
    char from[INSTANT_DAY_BYTES], to[INSTANT_DAY_BYTES];
    instant_day(view->from_ns, from);
    instant_day(view->to_ns - DAY_NS, to);
    html_format(page, "from=%s", from);
    put_parameter(page, "to", bytes_of(to));
    put_parameter(page, "system", view->system);
    put_parameter(page, "model", view->model);
    put_parameter(page, "person", view->person);
    put_parameter(page, "team", view->team);
    if (view->names != PRIVACY_NAMED && !view->names_forced)
        put_parameter(page, "names", bytes_of(privacy_name(view->names)));
}

static void put_option(struct page *page, struct bytes value, const char *text, bool selected)
{
    html_raw(page, "<option");
    html_attribute(page, "value", value);
    html_raw(page, selected ? " selected>" : ">");
    if (text)
        html_format(page, "%s", text);
    else
        html_text(page, value);
    html_raw(page, "</option>");
}

enum { MAX_CHOICES = 200 };

/* The systems there are, and the models asked in these days. */
struct choices {
    struct arena *arena;
    struct bytes systems[MAX_CHOICES], models[MAX_CHOICES];
    size_t system_count, model_count;
};

static void add_choice(struct choices *c, struct bytes list[MAX_CHOICES], size_t *count,
                       struct bytes value)
{
    for (size_t i = 0; i < *count; i++)
        if (bytes_equal(list[i], value))
            return;
    if (value.len > 0 && *count < MAX_CHOICES && arena_copy(c->arena, value, &list[*count]))
        ++*count;
}

static bool take_model(void *context, const struct aggregate_row *row)
{
    struct choices *c = context;
    add_choice(c, c->models, &c->model_count, row->groups[0]);
    return true;
}

static bool take_system(void *context, const struct control_system *system)
{
    struct choices *c = context;
    add_choice(c, c->systems, &c->system_count, bytes_of(system->name));
    return true;
}

/* From the daily sums. When the stores do not answer there is nothing to choose from. */
static void read_choices(const struct portal *p, const struct view *view, struct choices *out)
{
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    const struct message_filter filter = {.field = FIELD_TYPE,
                                          .values = &generation,
                                          .value_count = 1};
    const struct aggregate_group group = {.field = FIELD_MODEL};
    const struct aggregate_metric metric = {.function = AGGREGATE_COUNT};
    const struct aggregate_query query = {.where = {.filters = &filter,
                                                    .filter_count = 1,
                                                    .from_ns = view->from_ns,
                                                    .to_ns = view->to_ns,
                                                    .time_limit_ms = PORTAL_TIME_LIMIT_MS},
                                          .groups = &group,
                                          .group_count = 1,
                                          .metrics = &metric,
                                          .metric_count = 1};
    struct error ignored = {0};
    for (size_t i = 0; view->models && i < view->models->count; i++)
        add_choice(out, out->models, &out->model_count, view->models->list[i].name);
    if (!view->models)
        (void)!p->messages->kind->aggregate(p->messages, &query, take_model, out, &ignored);
    (void)!p->control->kind->system_list(p->control, take_system, out, &ignored);
}

static void open_select(struct page *page, const char *name, const char *label)
{
    html_raw(page, "<label>");
    html_format(page, "%s", label);
    html_raw(page, "<select");
    html_attribute(page, "name", bytes_of(name));
    html_raw(page, ">");
}

static void put_values(struct page *page, const char *name, const char *label,
                       const struct bytes *values, size_t count, struct bytes selected)
{
    bool found = selected.len == 0;
    open_select(page, name, label);
    put_option(page, bytes_of(""), "All", found);
    for (size_t i = 0; i < count; i++) {
        bool same = bytes_equal(values[i], selected);
        put_option(page, values[i], NULL, same);
        found |= same;
    }
    if (!found)
        put_option(page, selected, NULL, true);
    html_raw(page, "</select></label>");
}

static void put_teams(struct page *page, const struct portal *p, struct route_call *call,
                      const struct view *view)
{
    struct bytes *teams = NULL;
    size_t count = 0;
    struct error ignored = {0};
    if (!people_refresh(p->people, &ignored) ||
        !people_teams(p->people, &call->arena, &teams, &count) || count == 0)
        return;
    open_select(page, "team", "Team");
    put_option(page, bytes_of(""), "All", view->team.len == 0);
    for (size_t i = 0; i < count; i++)
        put_option(page, teams[i], NULL, bytes_equal(teams[i], view->team));
    html_raw(page, "</select></label>");
}

static void put_day_field(struct page *page, const char *name, const char *label, uint64_t at_ns)
{
    char day[INSTANT_DAY_BYTES];
    instant_day(at_ns, day);
    html_raw(page, "<label>");
    html_format(page, "%s", label);
    html_raw(page, "<input type=\"date\" required");
    html_attribute(page, "name", bytes_of(name));
    html_attribute(page, "value", bytes_of(day));
    html_raw(page, "></label>");
}

/* Shortcuts keep the filters and change the days. */
static void put_shortcuts(struct page *page, const struct view *view, const char *path)
{
    static const unsigned spans[] = {7, 30, 90, 365};
    html_raw(page, "<p class=\"spans\">");
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        html_raw(page, "<a");
        html_raw(page, " href=\"");
        html_raw(page, path);
        html_format(page, "?days=%u", spans[i]);
        put_parameter(page, "system", view->system);
        put_parameter(page, "model", view->model);
        put_parameter(page, "person", view->person);
        put_parameter(page, "team", view->team);
        if (view->names != PRIVACY_NAMED && !view->names_forced)
            put_parameter(page, "names", bytes_of(privacy_name(view->names)));
        html_raw(page, view->days == spans[i] ? "\" aria-current=\"true\">" : "\">");
        html_format(page, "%u days", spans[i]);
        html_raw(page, "</a> ");
    }
    html_raw(page, "</p>");
}

static void put_names(struct page *page, const struct view *view)
{
    if (view->names_forced)
        return;
    open_select(page, "names", "People");
    put_option(page, bytes_of("named"), "By name", view->names == PRIVACY_NAMED);
    put_option(page, bytes_of("pseudonymous"), "By pseudonym", view->names == PRIVACY_PSEUDONYMOUS);
    put_option(page, bytes_of("sums"), "Sums only", view->names == PRIVACY_SUMS);
    put_option(page, bytes_of("cohorts"), "In cohorts", view->names == PRIVACY_COHORTS);
    html_raw(page, "</select></label>");
}

static void open_day_form(struct page *page, const struct view *view, const char *path)
{
    html_raw(page, "<form class=\"filters\" method=\"get\"");
    html_attribute(page, "action", bytes_of(path));
    html_raw(page, " aria-label=\"Filters\">");
    put_day_field(page, "from", "From", view->from_ns);
    put_day_field(page, "to", "To", view->to_ns - DAY_NS);
}

void view_open_form(struct page *page, const struct portal *p, struct route_call *call,
                    const struct view *view, const char *path)
{
    open_day_form(page, view, path);
    struct choices choices = {.arena = &call->arena};
    read_choices(p, view, &choices);
    put_values(page, "system", "System", choices.systems, choices.system_count, view->system);
    put_teams(page, p, call, view);
    put_values(page, "model", "Model", choices.models, choices.model_count, view->model);
    if (view->names == PRIVACY_NAMED) {
        html_raw(page, "<label>Person<input name=\"person\" autocomplete=\"off\"");
        html_attribute(page, "value", view->person);
        html_raw(page, "></label>");
    }
    put_names(page, view);
}

void view_close_form(struct page *page, const struct view *view, const char *path)
{
    html_raw(page, "<button>Show</button></form>");
    put_shortcuts(page, view, path);
}

void view_put_day_form(struct page *page, const struct view *view, const char *path)
{
    open_day_form(page, view, path);
    put_names(page, view);
    view_close_form(page, view, path);
}

void view_put_summary(struct page *page, const struct view *view)
{
    char from[INSTANT_DAY_BYTES], to[INSTANT_DAY_BYTES];
    instant_day(view->from_ns, from);
    instant_day(view->to_ns - DAY_NS, to);
    html_raw(page, "<p class=\"summary\">");
    html_format(page, "%s to %s, days of UTC", from, to);
    const struct bytes said[] = {view->system, view->team, view->model, view->person};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        if (said[i].len == 0)
            continue;
        html_raw(page, " · ");
        html_text(page, said[i]);
    }
    if (view->names == PRIVACY_COHORTS)
        html_format(page, ". Groups of fewer than %d people are not shown.", PRIVACY_MIN_COHORT);
    html_raw(page, "</p>");
}
