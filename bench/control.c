/*
 * What the control store carries of a fleet's heartbeats: each is three statements, the device by its token,
 * its row written anew with the document, its commands.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "server/store/control.h"
#include "server/store/fleet.h"

enum { DEVICES = 2000, DOCUMENT_BYTES = 2000, THREADS = 8, SECONDS = 2 };

static int64_t tokens[DEVICES];
static atomic_bool stopping;
static atomic_ulong beats;

static void must(bool done, const struct error *err)
{
    if (done)
        return;
    fprintf(stderr, "control: %s\n", err->cause);
    exit(1);
}

static bool no_command(void *context, const struct fleet_command *command)
{
    (void)context;
    (void)command;
    return true;
}

static void enrol_fleet(struct control_store *store)
{
    struct error err = {0};
    struct control_system home;
    must(store->kind->system_create(store, "bench", 1, &home, &err), &err);
    for (int i = 0; i < DEVICES; i++) {
        struct control_token token = {.system_id = home.id, .prefix = "ct_bench", .created_ns = 1};
        struct fleet_device device = {.system_id = home.id, .os = "linux", .hostname = "machine"};
        platform_random(token.sha256, sizeof token.sha256);
        must(store->kind->token_create(store, &token, &device.token_id, &err), &err);
        snprintf(device.hardware_id, sizeof device.hardware_id, "hardware-%d", i);
        snprintf(device.device_id, sizeof device.device_id, "device-%d", i);
        must(store->kind->fleet->device_enroll(store, &device, 1, &err), &err);
        tokens[i] = device.token_id;
    }
}

static void *beat(void *context)
{
    struct control_store *store = context;
    struct error err = {0};
    char document[DOCUMENT_BYTES];
    memset(document, 'x', sizeof document);
    for (uint64_t now = 2; !atomic_load(&stopping); now++) {
        struct fleet_device device;
        uint32_t which;
        platform_random(&which, sizeof which);
        must(store->kind->fleet->device_of_token(store, tokens[which % DEVICES], &device, &err),
             &err);
        device.last_seen_ns = now;
        must(store->kind->fleet->device_update(store, &device,
                                               bytes_make(document, sizeof document), &err),
             &err);
        must(store->kind->fleet->command_take(store, device.id, now, no_command, NULL, &err), &err);
        atomic_fetch_add(&beats, 1);
    }
    return NULL;
}

/* Heartbeats a second of a new fleet at `url`, from so many threads. */
static double measure(const char *url, int threads)
{
    struct error err = {0};
    pthread_t ids[THREADS];
    struct control_store *store = control_store_open(url, &err);
    must(store != NULL, &err);
    enrol_fleet(store);
    atomic_store(&stopping, false);
    atomic_store(&beats, 0);
    uint64_t begun = clock_monotonic_ns(&platform_clock);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, beat, store) != 0)
            abort();
    while (clock_monotonic_ns(&platform_clock) - begun < SECONDS * NS_PER_S)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    atomic_store(&stopping, true);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    uint64_t took = clock_monotonic_ns(&platform_clock) - begun;
    store->kind->close(store);
    return (double)atomic_load(&beats) * 1e9 / (double)took;
}

/* Arguments: a folder, and the URL of an empty PostgreSQL database when there is one. */
int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    char *file = xasprintf("sqlite:%s/control.db", argv[1]);
    printf("heartbeats/s in control state, %d threads: SQLite %.0f\n", THREADS,
           measure(file, THREADS));
    if (argc > 2)
        printf("heartbeats/s in control state, %d threads: PostgreSQL %.0f\n", THREADS,
               measure(argv[2], THREADS));
    free(file);
    return 0;
}
