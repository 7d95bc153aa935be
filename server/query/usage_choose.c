/* Which source is believed: per person, UTC day and family. */
#include <string.h>

#include "server/query/usage_cells.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)

/* How long an API may revise a day after it. */
enum { REVISES_TOKENS_DAYS = 30, REVISES_ENGAGEMENT_DAYS = 7, REVISES_ADMIN_DAYS = 3 };

struct seen {
    double weight[USAGE_SOURCE_COUNT][2][PART_COUNT]; /* [1]: of the beta */
    bool present[USAGE_SOURCE_COUNT];
    int64_t requests[USAGE_SOURCE_COUNT];
};

static void look(const struct usage_cell *cells, size_t count, struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    for (size_t i = 0; i < count; i++) {
        const struct usage_cell *c = &cells[i];
        seen->present[c->source] = true;
        seen->requests[c->source] += c->figures.requests;
        for (int p = 0; p < PART_COUNT; p++)
            seen->weight[c->source][c->beta][p] +=
                usage_part_weight(&c->figures, (enum usage_part)p);
    }
}

/* A source that tells nothing but noughts leaves a gap: it does not see, say, usage through Bedrock. */
static bool tells(const struct seen *seen, enum usage_source source, enum usage_family family)
{
    for (int p = 0; p < PART_COUNT; p++)
        if (usage_family_of_part((enum usage_part)p) == family &&
            (seen->weight[source][0][p] > 0 || seen->weight[source][1][p] > 0))
            return true;
    return false;
}

static enum usage_source winner_of(const struct seen *seen, const struct usage_question *question,
                                   enum usage_family family)
{
    if (question->has_only)
        return question->only;
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++)
        if (tells(seen, (enum usage_source)s, family))
            return (enum usage_source)s;
    if (seen->present[USAGE_OTEL])
        return USAGE_OTEL;
    return seen->present[USAGE_ENTERPRISE_API] ? USAGE_ENTERPRISE_API : USAGE_ADMIN_API;
}

static bool may_be_revised(const struct usage_cell *cell, const struct seen *seen,
                           enum usage_source winner, enum usage_family family, uint64_t now_ns)
{
    uint64_t day_ns = 0;
    if (winner == USAGE_OTEL || !instant_parse_day(bytes_of(cell->day), &day_ns))
        return false;
    bool beta = family == USAGE_TOKENS && (seen->weight[winner][1][PART_TOKENS] > 0 ||
                                           seen->weight[winner][1][PART_COST] > 0);
    uint64_t days = beta                        ? REVISES_TOKENS_DAYS
                    : winner == USAGE_ADMIN_API ? REVISES_ADMIN_DAYS
                    : family == USAGE_TOKENS    ? REVISES_TOKENS_DAYS
                                                : REVISES_ENGAGEMENT_DAYS;
    return day_ns / DAY_NS + days >= now_ns / DAY_NS;
}

/* Takes out of a cell what is told better elsewhere. */
static void leave_believed(struct usage_cell *c, const struct seen *seen, bool only)
{
    const double active = c->figures.active_seconds;
    for (int p = 0; p < PART_COUNT; p++) {
        enum usage_part part = (enum usage_part)p;
        bool other_source = c->winner[usage_family_of_part(part)] != c->source;
        bool other_report = !c->beta && seen->weight[c->source][1][p] > 0;
        if (other_source || other_report)
            usage_part_drop(&c->figures, part);
    }
    enum usage_source tokens = (enum usage_source)c->winner[USAGE_TOKENS];
    bool own_requests =
        c->source == tokens || (c->source == USAGE_OTEL && seen->requests[tokens] == 0 && !only);
    if (!own_requests || (!c->beta && seen->weight[c->source][1][PART_TOKENS] > 0))
        c->figures.requests = 0;
    if (c->winner[USAGE_ACTIVITY] != c->source)
        c->session.len = 0; /* its sessions are counted elsewhere */
    if (c->source == USAGE_OTEL && !only)
        c->figures.active_seconds = active; /* no API tells it */
}

static bool says_something(const struct usage_cell *c)
{
    bool lost = false;
    for (int f = 0; f < USAGE_FAMILY_COUNT; f++)
        lost |= c->winner[f] != c->source;
    for (int p = 0; p < PART_COUNT; p++)
        if (usage_part_weight(&c->figures, (enum usage_part)p) > 0)
            return true;
    return !lost || c->figures.requests > 0 || c->session.len > 0;
}

void usage_choose(struct usage_cells *cells, const struct usage_question *question)
{
    struct usage_cell *items = cells->items;
    size_t kept = 0;
    usage_sort_by_person(cells);
    for (size_t begin = 0, end; begin < cells->count; begin = end) {
        struct seen seen;
        for (end = begin + 1;
             end < cells->count && usage_same_person_day(&items[begin], &items[end]); end++)
            ;
        look(&items[begin], end - begin, &seen);
        for (size_t i = begin; i < end; i++) {
            struct usage_cell c = items[i];
            if (question->has_only && c.source != question->only)
                continue;
            c.provisional = false;
            for (int f = 0; f < USAGE_FAMILY_COUNT; f++) {
                enum usage_source winner = winner_of(&seen, question, (enum usage_family)f);
                c.winner[f] = (unsigned char)winner;
                c.provisional |=
                    may_be_revised(&c, &seen, winner, (enum usage_family)f, question->now_ns);
            }
            leave_believed(&c, &seen, question->has_only);
            if (says_something(&c))
                items[kept++] = c;
        }
    }
    cells->count = kept;
}
