#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/event/loop.h"
#include "platform/socket.h"
#include "tests/support/expect.h"

static struct loop *loop;
static char seen[256]; /* what the callbacks wrote, one letter each */

static void setup(void)
{
    struct error err;
    loop = loop_create(&err);
    ck_assert_msg(loop != NULL, "%s", err.cause);
    seen[0] = '\0';
}

static void teardown(void)
{
    loop_destroy(loop);
}

/* A letter as a callback's context. */
static void *letter(char c)
{
    return (void *)(uintptr_t)c;
}

static void note(void *context)
{
    size_t len = strlen(seen);
    ck_assert_uint_lt(len + 1, sizeof seen);
    seen[len] = (char)(uintptr_t)context;
    seen[len + 1] = '\0';
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static void *post_from_thread(void *count)
{
    for (int i = 0; i < *(int *)count; i++)
        loop_post(loop, note, letter((i & 1) ? 'b' : 'a'));
    loop_post(loop, stop, NULL);
    return NULL;
}

START_TEST(posts_from_another_thread_arrive_in_order)
{
    int count = 200;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_from_thread, &count), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(strlen(seen), 200);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(seen[i], (i & 1) ? 'b' : 'a');
}
END_TEST

static void *stop_from_thread(void *unused)
{
    loop_stop(loop);
    return unused;
}

START_TEST(another_thread_can_stop_an_idle_loop)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_from_thread, NULL), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_stopped_loop_runs_again)
{
    loop_post(loop, stop, NULL);
    loop_run(loop);
    loop_post(loop, note, letter('x'));
    loop_post(loop, stop, NULL);
    loop_run(loop);
    ck_assert_str_eq(seen, "x");
}
END_TEST

static void note_at_the_end(void *context)
{
    note(letter('p'));
    loop_after_wakeup(loop, note, context);
}

START_TEST(work_shared_by_a_wakeup_comes_after_all_its_callbacks)
{
    loop_post(loop, note_at_the_end, letter('1'));
    loop_post(loop, note_at_the_end, letter('2'));
    loop_post(loop, note, letter('q'));
    loop_post(loop, stop, NULL);
    loop_run(loop);
    ck_assert_str_eq(seen, "ppq12");
}
END_TEST

static void ask_again(void *context)
{
    strcat(seen, "a");
    if (strlen(seen) < 3)
        loop_after_wakeup(loop, ask_again, context);
    else
        loop_stop(loop);
}

START_TEST(after_work_that_asks_for_more_is_not_left_waiting)
{
    loop_after_wakeup(loop, ask_again, NULL);
    loop_run(loop);
    ck_assert_str_eq(seen, "aaa");
}
END_TEST

START_TEST(timers_fire_once_in_order_of_time_and_never_early)
{
    struct loop_timer *late = loop_timer_create(loop, stop, NULL);
    struct loop_timer *early = loop_timer_create(loop, note, letter('e'));
    struct loop_timer *cancelled = loop_timer_create(loop, note, letter('c'));
    struct loop_timer *moved = loop_timer_create(loop, note, letter('m'));
    uint64_t start_ms = loop_now_ms(loop);
    loop_timer_set(late, 30);
    loop_timer_set(early, 1);
    loop_timer_set(cancelled, 5);
    loop_timer_cancel(cancelled);
    loop_timer_set(moved, 1);
    loop_timer_set(moved, 15); /* replaces */
    loop_run(loop);
    ck_assert_str_eq(seen, "em");
    ck_assert_uint_ge(loop_now_ms(loop) - start_ms, 29);
    loop_timer_destroy(late);
    loop_timer_destroy(early);
    loop_timer_destroy(cancelled);
    loop_timer_destroy(moved);
}
END_TEST

static struct loop_watch *watch;

static void on_socket(void *context, int fd, unsigned events)
{
    (void)context;
    if (events & LOOP_WRITABLE) {
        strcat(seen, "w");
        loop_watch_change(watch, LOOP_READABLE);
        return;
    }
    char byte;
    ck_assert_int_eq(socket_read(fd, &byte, 1), 1);
    strcat(seen, "r");
    loop_watch_change(watch, 0); /* a second byte waits: paused means silent */
    loop_post(loop, stop, NULL);
}

START_TEST(a_watch_reports_only_what_it_was_asked_for)
{
    int pair[2];
    struct error err;
    expect_ok(socket_pair(pair, &err));
    ck_assert_int_eq(socket_write(pair[1], "xy", 2), 2);
    watch = loop_watch_add(loop, pair[0], LOOP_WRITABLE, on_socket, NULL);
    loop_run(loop);
    ck_assert_str_eq(seen, "wr");

    loop_watch_change(watch, LOOP_READABLE); /* level-triggered: the byte is still there */
    loop_run(loop);
    ck_assert_str_eq(seen, "wrr");
    loop_watch_remove(watch);
    socket_close(pair[0]);
    socket_close(pair[1]);
}
END_TEST

#if defined(SIGUSR1)
START_TEST(a_signal_arrives_on_the_loop)
{
    struct error err;
    expect_ok(loop_on_signal(loop, SIGUSR1, note, letter('s'), &err));
    expect_ok(loop_on_signal(loop, SIGUSR2, stop, NULL, &err));
    raise(SIGUSR1);
    loop_post(loop, stop, NULL);
    loop_run(loop);
    ck_assert_str_eq(seen, "s");
}
END_TEST
#endif

static void compare_now(void *start_ms)
{
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    ck_assert_uint_eq(loop_now_ms(loop), *(uint64_t *)start_ms);
}

static void read_now(void *out_ms)
{
    *(uint64_t *)out_ms = loop_now_ms(loop);
}

START_TEST(now_stands_still_during_a_wakeup_and_moves_between)
{
    uint64_t first_ms = 0, second_ms = 0;
    loop_post(loop, read_now, &first_ms);
    loop_post(loop, compare_now, &first_ms);
    loop_post(loop, stop, NULL);
    loop_run(loop);
    loop_post(loop, read_now, &second_ms);
    loop_post(loop, stop, NULL);
    loop_run(loop);
    ck_assert_uint_ge(second_ms, first_ms + 3);
}
END_TEST

START_TEST(a_loop_destroyed_still_makes_the_calls_posted_to_it)
{
    struct error err;
    struct loop *other = loop_create(&err);
    loop_post(other, note, letter('d'));
    loop_destroy(other);
    loop_destroy(NULL);
    ck_assert_str_eq(seen, "d");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, posts_from_another_thread_arrive_in_order);
    tcase_add_test(tests, another_thread_can_stop_an_idle_loop);
    tcase_add_test(tests, a_stopped_loop_runs_again);
    tcase_add_test(tests, work_shared_by_a_wakeup_comes_after_all_its_callbacks);
    tcase_add_test(tests, after_work_that_asks_for_more_is_not_left_waiting);
    tcase_add_test(tests, timers_fire_once_in_order_of_time_and_never_early);
    tcase_add_test(tests, a_watch_reports_only_what_it_was_asked_for);
#if defined(SIGUSR1)
    tcase_add_test(tests, a_signal_arrives_on_the_loop);
#endif
    tcase_add_test(tests, now_stands_still_during_a_wakeup_and_moves_between);
    tcase_add_test(tests, a_loop_destroyed_still_makes_the_calls_posted_to_it);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
