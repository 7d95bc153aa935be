/*
 * How the agent does, as the server and people on the machine are told: the
 * heartbeat and the status file hold the same keys, made here. No secrets.
 */
#ifndef AGENT_REPORT_H
#define AGENT_REPORT_H

#include "agent/accounts.h"
#include "agent/relay/relay.h"
#include "agent/settings/claude.h"
#include "agent/settings/verdicts.h"
#include "core/json/writer.h"

/* Everything borrowed for the call. */
struct report {
    uint64_t now_ns; /* wall clock */
    const struct relay_state *relay;
    const struct accounts *accounts;
    const struct claude_installs *installs; /* NULL: not looked for */

    struct {
        const char *hash;
        const char *error; /* of the last reload; "" when it was fine */
        uint64_t drift_repairs_total;
    } config;
    struct {
        bool is_on;        /* this process keeps the settings, or hears from the one that does */
        const char *error; /* "" */
        const struct settings_verdicts *verdicts; /* NULL: not looked for */
        uint64_t last_repair_ns;
        const char *last_diff;     /* of that; NULL: not for the eyes of everybody */
        const char *conflict_path; /* NULL or "": none */
        uint64_t next_try_ns;
    } settings;
    struct {
        bool is_wanted; /* server.url is set */
        bool is_enrolled;
        const char *error; /* "" */
    } enrollment;
    struct {
        bool ran;
        uint64_t ran_at_ns;
        uint32_t failed, warned;
    } doctor;
};

/* Appends the keys health, config, claude, users, signals, spool, destinations, ledger, doctor into
 * the open object. */
void report_put(const struct report *report, struct json_writer *w);

/* Whether all is well; else `why` gets the first thing that is not. */
bool report_is_healthy(const struct report *report, char *why, size_t size);

#endif
