#include "server/command_list.h"

#include <stdio.h>

int command_finish(struct control_store *store, bool done, const struct error *err)
{
    if (store)
        store->kind->close(store);
    return done ? EXIT_DONE : command_fail(err);
}

struct list *list_open(struct list *l, bool json, bool many)
{
    *l = (struct list){.json = json, .many = many, .out = {.max_bytes = 64 * MIB}};
    l->writer = json_writer_make(&l->out);
    if (json && many)
        json_array_open(&l->writer);
    return l;
}

void list_print(struct list *l)
{
    if (l->json && l->many)
        json_array_close(&l->writer);
    if (l->out.len > 0)
        fwrite(l->out.data, 1, l->out.len, stdout);
    if (l->json)
        putchar('\n');
    buffer_clear(&l->out);
}

const char *list_day(uint64_t time_ns, char day[INSTANT_DAY_BYTES])
{
    if (time_ns == 0)
        return "never";
    instant_day(time_ns, day);
    return day;
}
