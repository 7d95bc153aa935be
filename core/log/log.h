/*
 * Logs for the operator: one event, one line on standard error,
 *   2026-11-21T00:30:00.123Z info relay: destination state=auth_failed name=central
 * or JSON with --log-format json. Never a secret, never a prompt's text.
 *
 * error: someone must act; warn: may have to; info: a state changed; debug: off by default.
 * Any thread.
 */
#ifndef CORE_LOG_LOG_H
#define CORE_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/error.h"

enum log_level { LOG_ERROR_LEVEL, LOG_WARN_LEVEL, LOG_INFO_LEVEL, LOG_DEBUG_LEVEL };

/* Shared by everything in a program; made in main.c and passed down. */
struct log;

struct log *log_create(enum log_level level, bool json);
void log_destroy(struct log *log); /* NULL is fine */
bool log_level_of_name(const char *name, enum log_level *out);

/* `component` is the module's name; `format` gives the message: a phrase, then key=value words. A
 * NULL log is silent. */
void log_write(struct log *log, enum log_level level, const char *component, const char *format,
               ...) PRINTF_LIKE(4, 5);
#define log_error(log, component, ...) log_write(log, LOG_ERROR_LEVEL, component, __VA_ARGS__)
#define log_warn(log, component, ...) log_write(log, LOG_WARN_LEVEL, component, __VA_ARGS__)
#define log_info(log, component, ...) log_write(log, LOG_INFO_LEVEL, component, __VA_ARGS__)
#define log_debug(log, component, ...) log_write(log, LOG_DEBUG_LEVEL, component, __VA_ARGS__)

/* An error as one line: "<doing>: cause (fix: remedy)". */
void log_failure(struct log *log, enum log_level level, const char *component, const char *doing,
                 const struct error *err);

#endif
