/*
 * The running agent: relay, settings, enrolment, heartbeat and status file on
 * one loop, wired from the configuration.
 *
 *   agent.yaml ─▶ accounts ─▶ relay (threads of its own)
 *                    │           └─ state ─▶ status file, heartbeat
 *                    └─▶ settings of Claude Code, with the relay's port
 */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

#include <stdbool.h>

#include "agent/command.h"
#include "base/error.h"
#include "core/event/loop.h"
#include "core/log/log.h"

struct service;

/*
 * Opens everything; the relay takes requests when it returns. Takes over
 * `config`, also on failure (NULL). `line`, `loop` and `log` are borrowed.
 */
struct service *service_create(const struct command_line *line, struct agent_config *config,
                               struct loop *loop, struct log *log, struct error *err);

/* Reads the configuration again; a broken one is logged and the old one stays. */
void service_reload(struct service *service);

/* Says goodbye to the server, then calls `done` on the loop. */
void service_leave(struct service *service, void (*done)(void *context), void *context);

/* Answers what the relay has taken, saves places, frees everything. NULL is fine. */
void service_destroy(struct service *service);

#endif
