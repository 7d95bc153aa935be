#include "core/http/system_proxy.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "platform/proxy.h"

enum { FRESH_MS = 5 * 60 * 1000, MOST_ANSWERS = 32 };

/* One URL's question, and then its answer. */
struct question {
    struct system_proxies *proxies; /* NULL once nobody waits for it any more */
    struct question *next;
    struct loop *loop;
    char *url, *host;
    system_proxies_known *known;
    void *context;
    pthread_t thread;
    bool is_answered;
    uint64_t until_ms;
    struct platform_proxy proxy;
};

struct system_proxies {
    struct loop *loop;
    struct question *questions; /* newest first */
};

static void question_free(struct question *q)
{
    free(q->url);
    free(q->host);
    free(q);
}

static void on_answer(void *context)
{
    struct question *q = context;
    if (!q->proxies) {
        question_free(q);
        return;
    }
    pthread_join(q->thread, NULL); /* it has nothing left to do */
    q->is_answered = true;
    q->until_ms = loop_now_ms(q->loop) + FRESH_MS;
    q->known(q->context);
}

static void *ask(void *context)
{
    struct question *q = context;
    platform_proxy_for(q->url, q->host, &q->proxy);
    loop_post(q->loop, on_answer, q);
    return NULL;
}

struct system_proxies *system_proxies_create(struct loop *loop)
{
    struct system_proxies *proxies = xcalloc(1, sizeof *proxies);
    proxies->loop = loop;
    return proxies;
}

void system_proxies_destroy(struct system_proxies *proxies)
{
    if (!proxies)
        return;
    while (proxies->questions) {
        struct question *q = proxies->questions;
        proxies->questions = q->next;
        if (q->is_answered) {
            question_free(q);
        } else {
            pthread_join(q->thread, NULL);
            q->proxies = NULL; /* its call is posted, and frees it */
        }
    }
    free(proxies);
}

/* What is neither fresh nor being asked goes, and what is over the count. */
static void forget_old(struct system_proxies *proxies)
{
    size_t count = 0;
    for (struct question **at = &proxies->questions; *at;) {
        struct question *q = *at;
        if (q->is_answered &&
            (q->until_ms <= loop_now_ms(proxies->loop) || count >= MOST_ANSWERS)) {
            *at = q->next;
            question_free(q);
        } else {
            at = &q->next;
            count++;
        }
    }
}

const char *system_proxies_find(struct system_proxies *proxies, const char *url, const char *host,
                                system_proxies_known *known, void *context)
{
    forget_old(proxies);
    for (struct question *q = proxies->questions; q; q = q->next)
        if (strcmp(q->url, url) == 0)
            return q->is_answered ? q->proxy.url : NULL;
    struct question *q = xcalloc(1, sizeof *q);
    q->proxies = proxies;
    q->loop = proxies->loop;
    q->url = xstrdup(url);
    q->host = xstrdup(host);
    q->known = known;
    q->context = context;
    if (pthread_create(&q->thread, NULL, ask, q) != 0) {
        question_free(q);
        return ""; /* as if the system had none */
    }
    q->next = proxies->questions;
    proxies->questions = q;
    return NULL;
}
