#include "agent/relay/call.h"

#include <pthread.h>
#include <stdbool.h>

#include "core/event/loop.h"

struct call {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    void (*function)(void *context);
    void *context;
};

static void run(void *context)
{
    struct call *call = context;
    call->function(call->context);
    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->lock);
}

void call_on_loop(struct loop *loop, void (*function)(void *context), void *context)
{
    struct call call = {.function = function, .context = context};
    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.ended, NULL);
    loop_post(loop, run, &call);
    pthread_mutex_lock(&call.lock);
    while (!call.done)
        pthread_cond_wait(&call.ended, &call.lock);
    pthread_mutex_unlock(&call.lock);
    pthread_cond_destroy(&call.ended);
    pthread_mutex_destroy(&call.lock);
}
