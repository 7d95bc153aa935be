#include "server/query/privacy.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/query/usage.h"

static const char *const privacies[] = {"named", "pseudonymous", "sums", "cohorts"};

const char *privacy_name(enum privacy privacy)
{
    return privacies[privacy];
}

bool privacy_of_name(struct bytes name, enum privacy *out)
{
    for (int i = PRIVACY_NAMED; i <= PRIVACY_COHORTS; i++) {
        if (bytes_equal_text(name, privacies[i])) {
            *out = (enum privacy)i;
            return true;
        }
    }
    return false;
}

bool privacy_read(const struct route_call *call, enum privacy viewers, enum privacy *out,
                  struct error *err)
{
    struct bytes text = arguments_get(&call->query, "names");
    *out = PRIVACY_NAMED;
    if (text.len > 0 && !privacy_of_name(text, out))
        return error_set(err, FAIL_INVALID, "'names' must be named, pseudonymous, sums or cohorts");
    if (call->who.role < ROLE_ANALYST && *out < viewers)
        *out = viewers;
    return true;
}

/* ---- Rows that are withheld ---- */

struct sorting {
    struct privacy_row *row;
    size_t key_count, but; /* compared by every key except this one */
};

static int compare_others(const void *first, const void *second)
{
    const struct sorting *a = first, *b = second;
    for (size_t k = 0; k < a->key_count; k++) {
        int order = k == a->but ? 0 : usage_compare_texts(a->row->keys[k], b->row->keys[k]);
        if (order != 0)
            return order;
    }
    return 0;
}

/* Rows that differ in one key only, whose sum can be asked for by leaving that key out. */
static size_t withhold_one_more(struct sorting *list, size_t count)
{
    struct privacy_row *smallest = NULL;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct privacy_row *row = list[i].row;
        if (row->withheld && row->people >= PRIVACY_MIN_COHORT)
            return 0; /* enough people are behind what is withheld */
        any |= row->withheld;
        if (!row->withheld && (!smallest || row->people < smallest->people))
            smallest = row;
    }
    if (!any || !smallest)
        return 0;
    smallest->withheld = true;
    return 1;
}

size_t privacy_withhold(struct privacy_row *rows, size_t count, size_t key_count)
{
    size_t withheld = 0;
    for (size_t i = 0; i < count; i++) {
        rows[i].withheld = rows[i].people < PRIVACY_MIN_COHORT;
        withheld += rows[i].withheld;
    }
    if (withheld == 0)
        return 0;
    struct sorting *list = xcalloc(count, sizeof *list);
    for (size_t but = 0; but < key_count; but++) {
        for (size_t i = 0; i < count; i++)
            list[i] = (struct sorting){.row = &rows[i], .key_count = key_count, .but = but};
        qsort(list, count, sizeof *list, compare_others);
        for (size_t begin = 0, end; begin < count; begin = end) {
            for (end = begin + 1; end < count && compare_others(&list[begin], &list[end]) == 0;
                 end++)
                ;
            withheld += withhold_one_more(&list[begin], end - begin);
        }
    }
    free(list);
    return withheld;
}

/* ---- Filters ---- */

static bool take_count(void *context, const struct aggregate_row *row)
{
    *(int64_t *)context = row->integers[0];
    return true;
}

bool privacy_check_filters(struct message_store *messages, const struct message_query *where,
                           struct error *err)
{
    const struct aggregate_metric metric = {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON};
    if (where->filter_count == 0)
        return true;
    struct message_filter *filters = xcalloc(where->filter_count, sizeof *filters);
    bool done = true;
    for (size_t i = 0; done && i < where->filter_count; i++) {
        if (where->filters[i].field == FIELD_TYPE) /* other types are other questions */
            continue;
        memcpy(filters, where->filters, where->filter_count * sizeof *filters);
        filters[i].none_of = !filters[i].none_of;
        struct aggregate_query rest = {.where = *where, .metrics = &metric, .metric_count = 1};
        int64_t people = 0;
        rest.where.filters = filters;
        done = messages->kind->aggregate(messages, &rest, take_count, &people, err);
        if (done && people > 0 && people < PRIVACY_MIN_COHORT) {
            error_set(err, FAIL_DENIED,
                      "the filters leave out fewer than %d people, whose figures the difference "
                      "would show",
                      PRIVACY_MIN_COHORT);
            done = error_remedy(err, "leave a filter out, or ask for more days");
        }
    }
    free(filters);
    return done;
}

/* ---- Addresses in texts ---- */

static bool is_local(uint8_t c)
{
    return isalnum(c) || (c != 0 && strchr("._%+-'", c) != NULL) || c >= 0x80;
}

static bool is_domain(uint8_t c)
{
    return isalnum(c) || c == '.' || c == '-' || c >= 0x80;
}

/* The first address at or behind `from`. A domain begins with a letter, unlike a version. */
static bool find_address(struct bytes text, size_t from, size_t *begin, size_t *end)
{
    for (size_t at = from; at < text.len; at++) {
        if (text.data[at] != '@' || at + 1 == text.len)
            continue;
        *begin = at;
        while (*begin > from && is_local(text.data[*begin - 1]))
            --*begin;
        *end = at + 1;
        while (*end < text.len && is_domain(text.data[*end]))
            ++*end;
        if (*begin<at && * end> at + 1 && !isdigit(text.data[at + 1]))
            return true;
    }
    return false;
}

bool privacy_has_address(struct bytes text)
{
    size_t begin, end;
    return find_address(text, 0, &begin, &end);
}

bool privacy_mask(struct bytes text, privacy_replace *replace, void *context, struct buffer *out)
{
    size_t at = 0, begin, end;
    bool fits = true;
    while (fits && find_address(text, at, &begin, &end)) {
        struct buffer address = {.max_bytes = text.len};
        fits = buffer_append(out, bytes_make(text.data + at, begin - at));
        for (size_t i = begin; fits && i < end; i++)
            fits = buffer_append_byte(&address, (uint8_t)tolower(text.data[i]));
        fits = fits && replace(context, buffer_bytes(&address), out);
        buffer_clear(&address);
        at = end;
    }
    return fits && buffer_append(out, bytes_make(text.data + at, text.len - at));
}
