#include "core/log/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "platform/platform.h"

enum { MESSAGE_BYTES = 2048, LINE_BYTES = 6 * MESSAGE_BYTES + 256 };

/* Nothing in here changes after log_create(), so any thread may read it. */
struct log {
    enum log_level level;
    bool json;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct log *log_create(enum log_level level, bool json)
{
    struct log *log = xcalloc(1, sizeof *log);
    log->level = level;
    log->json = json;
    return log;
}

void log_destroy(struct log *log)
{
    free(log);
}

bool log_level_of_name(const char *name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) != 0)
            continue;
        *out = (enum log_level)i;
        return true;
    }
    return false;
}

static void format_now(char *out, size_t size)
{
    uint64_t now_ns = clock_wall_ns(&platform_clock);
    time_t seconds = (time_t)(now_ns / NS_PER_S);
    struct tm utc;
    char date[32];
    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03uZ", date, (unsigned)(now_ns % NS_PER_S / NS_PER_MS));
}

/* Control characters could forge a second line or steer a terminal. */
static size_t escape(char *out, const char *text, bool json)
{
    size_t n = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '\n')
            n += (size_t)sprintf(out + n, "\\n");
        else if (*at < 0x20 || *at == 0x7F)
            n += (size_t)sprintf(out + n, json ? "\\u%04x" : "\\x%02x", *at);
        else if (json && (*at == '"' || *at == '\\'))
            n += (size_t)sprintf(out + n, "\\%c", *at);
        else
            out[n++] = (char)*at;
    }
    out[n] = '\0';
    return n;
}

void log_write(struct log *log, enum log_level level, const char *component, const char *format,
               ...)
{
    if (!log || level > log->level)
        return;

    char message[MESSAGE_BYTES], line[LINE_BYTES], now[40];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    format_now(now, sizeof now);

    int head =
        snprintf(line, 200,
                 log->json ? "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":\""
                           : "%s %s %s: ",
                 now, level_names[level], component);
    size_t len = head < 200 ? (size_t)head : 199;
    len += escape(line + len, message, log->json);
    len += (size_t)snprintf(line + len, sizeof line - len, log->json ? "\"}\n" : "\n");

    /* Standard error is unbuffered: one call is one write, so lines of threads do not mix. */
    fwrite(line, 1, len, stderr);
}

void log_failure(struct log *log, enum log_level level, const char *component, const char *doing,
                 const struct error *err)
{
    if (err->remedy[0] != '\0')
        log_write(log, level, component, "%s: %s (fix: %s)", doing, err->cause, err->remedy);
    else
        log_write(log, level, component, "%s: %s", doing, err->cause);
}
