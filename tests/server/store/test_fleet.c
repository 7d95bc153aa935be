#include "server/store/fleet.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/control.h"
#include "tests/server/control_place.h"
#include "tests/support/expect.h"

static const char *url;
static struct control_store *store;
static const struct control_fleet_kind *fleet;
static struct control_system system_row;
static struct error err;

static void set_up(void)
{
    url = control_place_make();
    store = control_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    fleet = store->kind->fleet;
    expect_ok(store->kind->system_create(store, "claude-code", 1, &system_row, &err));
}

static void tear_down(void)
{
    store->kind->close(store);
    control_place_remove();
}

static int64_t make_token(uint8_t mark)
{
    struct control_token token = {.system_id = system_row.id, .prefix = "ct_dev", .created_ns = 1};
    memset(token.sha256, mark, sizeof token.sha256);
    int64_t id = 0;
    expect_ok(store->kind->token_create(store, &token, &id, &err));
    return id;
}

static struct fleet_device enroll(const char *hardware, const char *id, int64_t token)
{
    struct fleet_device device = {.system_id = system_row.id, .token_id = token, .os = "linux"};
    snprintf(device.hardware_id, sizeof device.hardware_id, "%s", hardware);
    snprintf(device.device_id, sizeof device.device_id, "%s", id);
    snprintf(device.hostname, sizeof device.hostname, "host-%s", hardware);
    expect_ok(fleet->device_enroll(store, &device, 100, &err));
    return device;
}

static bool copy_device(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    (void)heartbeat;
    *(struct fleet_device *)context = *device;
    return true;
}

static bool token_is_revoked(uint8_t mark)
{
    uint8_t hash[CONTROL_HASH_BYTES];
    struct control_token token;
    memset(hash, mark, sizeof hash);
    expect_ok(store->kind->token_find(store, hash, &token, &err));
    return token.revoked_ns != 0;
}

START_TEST(the_same_hardware_keeps_its_device_and_loses_its_old_token)
{
    struct fleet_device first = enroll("hw-1", "id-a", make_token(1));
    struct fleet_device again = enroll("hw-1", "id-b", make_token(2));
    struct fleet_device other = enroll("hw-2", "id-c", make_token(3));
    ck_assert_int_eq(first.id, again.id);
    ck_assert_str_eq(again.device_id, "id-a");
    ck_assert_int_ne(other.id, first.id);
    ck_assert(token_is_revoked(1));
    ck_assert(!token_is_revoked(2));
    ck_assert(!token_is_revoked(3));

    struct fleet_device found;
    expect_ok(fleet->device_of_token(store, again.token_id, &found, &err));
    ck_assert_str_eq(found.device_id, "id-a");
    expect_fail(fleet->device_of_token(store, first.token_id, &found, &err), FAIL_NOT_FOUND);
}
END_TEST

static struct control_token offer_of(const struct fleet_device *device, uint8_t mark)
{
    struct control_token token = {.system_id = device->system_id,
                                  .device_id = device->id,
                                  .prefix = "ct_dev",
                                  .created_ns = 200};
    memset(token.sha256, mark, sizeof token.sha256);
    return token;
}

static struct control_token find_token(uint8_t mark)
{
    struct control_token token;
    uint8_t hash[CONTROL_HASH_BYTES];
    memset(hash, mark, sizeof hash);
    expect_ok(store->kind->token_find(store, hash, &token, &err));
    return token;
}

START_TEST(an_offered_token_waits_for_its_use_and_gives_way_to_the_next)
{
    struct fleet_device device = enroll("hw-1", "id-a", make_token(1)), found;
    struct control_token first = offer_of(&device, 2), second = offer_of(&device, 3), none;
    ck_assert(!find_token(1).pending);
    expect_ok(fleet->device_token_offer(store, &device, &first, &err));
    int64_t first_id = find_token(2).id;
    ck_assert(find_token(2).pending);
    ck_assert_str_eq(find_token(2).device, "id-a");
    expect_ok(fleet->device_token_offer(store, &device, &second, &err));
    expect_fail(store->kind->token_find(store, first.sha256, &none, &err), FAIL_NOT_FOUND);
    expect_fail(fleet->device_token_take(store, first_id, 300, &err), FAIL_NOT_FOUND);
    expect_fail(fleet->device_token_take(store, device.token_id, 300, &err), FAIL_NOT_FOUND);
    ck_assert(!token_is_revoked(1));

    int64_t id = find_token(3).id;
    ck_assert_int_ne(id, first_id);
    expect_ok(fleet->device_token_take(store, id, 300, &err));
    ck_assert_uint_eq(find_token(1).revoked_ns, 300);
    ck_assert(!find_token(3).pending);
    expect_fail(fleet->device_token_take(store, id, 301, &err), FAIL_NOT_FOUND);
    expect_ok(fleet->device_of_token(store, id, &found, &err));
    ck_assert_uint_eq(found.token_created_ns, 200);
    expect_fail(fleet->device_token_offer(store, &device, &first, &err), FAIL_NOT_FOUND);
    expect_fail(store->kind->token_find(store, first.sha256, &none, &err), FAIL_NOT_FOUND);

    /* What the old token had brought is told late. */
    expect_ok(fleet->device_data(store, device.token_id, 350, &err));
    expect_ok(fleet->device_of_token(store, id, &found, &err));
    ck_assert_uint_eq(found.last_data_ns, 350);
}
END_TEST

START_TEST(a_device_taken_out_takes_all_its_tokens_along)
{
    struct fleet_device gone = enroll("hw-1", "id-a", make_token(1)), found;
    struct fleet_device other = enroll("hw-2", "id-b", make_token(2));
    struct control_token offered = offer_of(&gone, 3);
    expect_ok(fleet->device_token_offer(store, &gone, &offered, &err));
    int64_t offered_id = find_token(3).id;
    expect_ok(fleet->device_remove(store, "id-a", 400, &err));
    ck_assert_uint_eq(find_token(1).revoked_ns, 400);
    ck_assert_uint_eq(find_token(3).revoked_ns, 400);
    ck_assert(!token_is_revoked(2));
    expect_fail(fleet->device_token_take(store, offered_id, 500, &err), FAIL_NOT_FOUND);
    expect_fail(fleet->device_find(store, "id-a", copy_device, &found, &err), FAIL_NOT_FOUND);
    expect_fail(fleet->device_remove(store, "id-a", 500, &err), FAIL_NOT_FOUND);
    expect_ok(fleet->device_find(store, "id-b", copy_device, &found, &err));
    ck_assert_int_eq(found.id, other.id);

    /* The machine comes back as another device. */
    struct fleet_device again = enroll("hw-1", "id-c", make_token(4));
    ck_assert_str_eq(again.device_id, "id-c");
}
END_TEST

START_TEST(what_a_heartbeat_brings_is_kept_and_a_change_without_one_keeps_the_document)
{
    struct fleet_device d = enroll("hw-1", "id-a", make_token(1)), found;
    d.last_seen_ns = 500;
    d.last_data_ns = 400;
    d.clock_skew_s = -7;
    d.evicted_total = 3;
    d.disconnected = true;
    snprintf(d.state_code, sizeof d.state_code, "late");
    expect_ok(fleet->device_update(store, &d, bytes_of("{\"a\":1}"), &err));
    d.last_data_ns = 300; /* an older answer must not turn the clock back */
    expect_ok(fleet->device_update(store, &d, bytes_of(""), &err));
    expect_ok(fleet->device_data(store, d.token_id, 350, &err));
    expect_ok(fleet->device_find(store, "id-a", copy_device, &found, &err));
    ck_assert_uint_eq(found.last_data_ns, 400);
    ck_assert_int_eq(found.clock_skew_s, -7);
    ck_assert_uint_eq(found.evicted_total, 3);
    ck_assert(found.disconnected);
    ck_assert_str_eq(found.state_code, "late");
    ck_assert_str_eq(found.hostname, "host-hw-1");
    expect_fail(fleet->device_find(store, "id-z", copy_device, &found, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(a_secret_counts_its_uses_and_can_be_revoked)
{
    struct fleet_secret secret = {.system_id = system_row.id, .prefix = "ces_ab", .created_ns = 1};
    memset(secret.sha256, 9, sizeof secret.sha256);
    expect_ok(fleet->secret_create(store, &secret, &err));
    struct fleet_secret found;
    expect_ok(fleet->secret_use(store, secret.sha256, &found, &err));
    expect_ok(fleet->secret_use(store, secret.sha256, &found, &err));
    ck_assert_uint_eq(found.used_total, 2);
    ck_assert_uint_eq(found.revoked_ns, 0);
    expect_ok(fleet->secret_revoke(store, "ces_ab", 50, &err));
    expect_ok(fleet->secret_use(store, secret.sha256, &found, &err));
    ck_assert_uint_eq(found.revoked_ns, 50);
    expect_fail(fleet->secret_revoke(store, "ces_ab", 60, &err), FAIL_NOT_FOUND);
    uint8_t unknown[FLEET_HASH_BYTES] = {0};
    expect_fail(fleet->secret_use(store, unknown, &found, &err), FAIL_NOT_FOUND);
}
END_TEST

static bool count_command(void *context, const struct fleet_command *command)
{
    ck_assert_str_eq(command->type, "doctor");
    ++*(int *)context;
    return true;
}

START_TEST(a_command_is_given_until_a_report_answers_it)
{
    struct fleet_device d = enroll("hw-1", "id-a", make_token(1));
    struct fleet_command command = {.id = "cmd-1", .device = d.id, .type = "doctor"};
    int taken = 0;
    struct buffer report = {.max_bytes = 100};
    uint64_t at_ns = 0;
    expect_ok(fleet->command_add(store, &command, &err));
    expect_ok(fleet->command_take(store, d.id, 10, count_command, &taken, &err));
    expect_ok(fleet->command_take(store, d.id, 20, count_command, &taken, &err));
    ck_assert_int_eq(taken, 2);
    expect_fail(fleet->report_get(store, d.id, &report, &at_ns, &err), FAIL_NOT_FOUND);
    expect_ok(fleet->report_put(store, d.id, "cmd-1", bytes_of("{}"), 30, &err));
    expect_ok(fleet->command_take(store, d.id, 40, count_command, &taken, &err));
    ck_assert_int_eq(taken, 2);
    expect_ok(fleet->report_get(store, d.id, &report, &at_ns, &err));
    expect_text(buffer_bytes(&report), "{}");
    ck_assert_uint_eq(at_ns, 30);
    expect_ok(fleet->report_put(store, d.id, "", bytes_of("{\"n\":2}"), 50, &err));
    buffer_clear(&report);
}
END_TEST

static bool first_flip(void *context, const struct fleet_flip *flip)
{
    *(struct fleet_flip *)context = *flip;
    return false;
}

START_TEST(state_changes_are_told_newest_first)
{
    struct fleet_flip flip = {.subject = "device:id-a", .from = "green", .to = "red", .at_ns = 1};
    struct fleet_flip newest;
    expect_ok(fleet->flip_add(store, &flip, &err));
    snprintf(flip.to, sizeof flip.to, "yellow");
    flip.at_ns = 2;
    expect_ok(fleet->flip_add(store, &flip, &err));
    snprintf(flip.subject, sizeof flip.subject, "token:ct_x");
    expect_ok(fleet->flip_add(store, &flip, &err));
    expect_ok(fleet->flip_list(store, "device:id-a", 10, first_flip, &newest, &err));
    ck_assert_str_eq(newest.to, "yellow");
    expect_ok(fleet->flip_list(store, NULL, 10, first_flip, &newest, &err));
    ck_assert_str_eq(newest.subject, "token:ct_x");
}
END_TEST

/* ---- Several processes at once ---- */

enum { MACHINES = 4, ROUNDS = 6 };

struct machine {
    struct control_store *store;
    uint8_t mark;
    char *failed;
};

/* The same hardware enrols again and again, from several servers at a time. */
static void *enroll_often(void *context)
{
    struct machine *m = context;
    struct error own = {0};
    for (int i = 0; i < ROUNDS && !m->failed; i++) {
        struct control_token token = {.system_id = system_row.id, .prefix = "ct_dev"};
        struct fleet_device device = {.system_id = system_row.id, .hardware_id = "one"};
        memset(token.sha256, m->mark + i, sizeof token.sha256);
        snprintf(device.device_id, sizeof device.device_id, "id-%d", m->mark + i);
        if (!m->store->kind->token_create(m->store, &token, &device.token_id, &own) ||
            !m->store->kind->fleet->device_enroll(m->store, &device, 100, &own))
            m->failed = xstrdup(own.cause);
    }
    return NULL;
}

static bool count_good_token(void *context, const struct control_token *token)
{
    struct {
        int good;
        int64_t id;
    } *found = context;
    if (token->revoked_ns == 0) {
        found->good++;
        found->id = token->id;
    }
    return true;
}

START_TEST(of_enrolments_at_once_one_token_is_in_force_and_the_devices)
{
    struct machine machines[MACHINES];
    pthread_t threads[MACHINES];
    struct fleet_device device;
    struct {
        int good;
        int64_t id;
    } found = {0};
    for (int i = 0; i < MACHINES; i++) {
        machines[i] = (struct machine){.store = control_store_open(url, &err),
                                       .mark = (uint8_t)(1 + i * ROUNDS)};
        ck_assert_msg(machines[i].store != NULL, "%s", err.cause);
    }
    for (int i = 0; i < MACHINES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, enroll_often, &machines[i]), 0);
    for (int i = 0; i < MACHINES; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_msg(!machines[i].failed, "%s", machines[i].failed);
        machines[i].store->kind->close(machines[i].store);
    }
    expect_ok(fleet->device_of_hardware(store, "one", &device, &err));
    expect_ok(store->kind->token_list(store, count_good_token, &found, &err));
    ck_assert_int_eq(found.good, 1);
    ck_assert_int_eq(found.id, device.token_id);
}
END_TEST

struct taker {
    struct control_store *store;
    int64_t token_id;
    bool taken;
    enum error_kind kind;
};

static void *take_once(void *context)
{
    struct taker *t = context;
    struct error own = {0};
    t->taken = t->store->kind->fleet->device_token_take(t->store, t->token_id, 500, &own);
    t->kind = own.kind;
    return NULL;
}

START_TEST(of_two_that_use_a_new_token_first_one_puts_it_in_force)
{
    struct control_store *other = control_store_open(url, &err);
    ck_assert_msg(other != NULL, "%s", err.cause);
    struct fleet_device device = enroll("one", "id-a", make_token(1)), now;
    for (uint8_t round = 2; round < 8; round++) {
        struct control_token offered = {.system_id = system_row.id,
                                        .prefix = "ct_dev",
                                        .device_id = device.id};
        struct control_token found;
        struct taker takers[2] = {{.store = store}, {.store = other}};
        pthread_t threads[2];
        memset(offered.sha256, round, sizeof offered.sha256);
        expect_ok(fleet->device_of_hardware(store, "one", &now, &err));
        expect_ok(fleet->device_token_offer(store, &now, &offered, &err));
        expect_ok(store->kind->token_find(store, offered.sha256, &found, &err));
        ck_assert(found.pending);
        for (int i = 0; i < 2; i++) {
            takers[i].token_id = found.id;
            ck_assert_int_eq(pthread_create(&threads[i], NULL, take_once, &takers[i]), 0);
        }
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        ck_assert_int_eq(takers[0].taken + takers[1].taken, 1);
        ck_assert_int_eq(takers[takers[0].taken ? 1 : 0].kind, FAIL_NOT_FOUND);
        expect_ok(fleet->device_of_hardware(store, "one", &now, &err));
        ck_assert_int_eq(now.token_id, found.id);
    }
    other->kind->close(other);
}
END_TEST

START_TEST(a_verdict_gives_way_to_a_heartbeat_that_came_meanwhile)
{
    struct fleet_device device = enroll("one", "id-a", make_token(1)), now;
    device.last_seen_ns = 10;
    expect_ok(fleet->device_update(store, &device, bytes_of("{}"), &err));
    struct fleet_device silent = device;
    silent.state = 2;
    snprintf(silent.state_code, sizeof silent.state_code, "silent");
    expect_ok(fleet->device_judged(store, &silent, &err));
    expect_ok(fleet->device_of_hardware(store, "one", &now, &err));
    ck_assert_int_eq(now.state, 2);
    ck_assert_str_eq(now.state_code, "silent");

    device.last_seen_ns = 20; /* the machine is back while another still thinks it silent */
    device.state = 0;
    expect_ok(fleet->device_update(store, &device, bytes_of("{}"), &err));
    expect_fail(fleet->device_judged(store, &silent, &err), FAIL_NOT_FOUND);
    expect_ok(fleet->device_of_hardware(store, "one", &now, &err));
    ck_assert_int_eq(now.state, 0);
    ck_assert_uint_eq(now.last_seen_ns, 20);
}
END_TEST

static Suite *make_suite(const char *kind)
{
    Suite *suite = suite_create(kind);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_same_hardware_keeps_its_device_and_loses_its_old_token);
    tcase_add_test(tests, an_offered_token_waits_for_its_use_and_gives_way_to_the_next);
    tcase_add_test(tests, a_device_taken_out_takes_all_its_tokens_along);
    tcase_add_test(tests,
                   what_a_heartbeat_brings_is_kept_and_a_change_without_one_keeps_the_document);
    tcase_add_test(tests, a_secret_counts_its_uses_and_can_be_revoked);
    tcase_add_test(tests, a_command_is_given_until_a_report_answers_it);
    tcase_add_test(tests, state_changes_are_told_newest_first);
    tcase_add_test(tests, of_enrolments_at_once_one_token_is_in_force_and_the_devices);
    tcase_add_test(tests, of_two_that_use_a_new_token_first_one_puts_it_in_force);
    tcase_add_test(tests, a_verdict_gives_way_to_a_heartbeat_that_came_meanwhile);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return control_places_run(make_suite);
}
