#include "server/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum option_kind { FLAG, VALUE };

static const struct {
    const char *name;
    enum option_kind kind;
    size_t offset; /* in struct options */
} table[] = {
    {"json", FLAG, offsetof(struct options, json)},
    {"help", FLAG, offsetof(struct options, help)},
    {"version", FLAG, offsetof(struct options, version)},
    {"print-markdown", FLAG, offsetof(struct options, print_markdown)},
    {"password-stdin", FLAG, offsetof(struct options, password_stdin)},
    {"config", VALUE, offsetof(struct options, config)},
    {"root", VALUE, offsetof(struct options, root)},
    {"data", VALUE, offsetof(struct options, data)},
    {"store", VALUE, offsetof(struct options, store)},
    {"messages", VALUE, offsetof(struct options, messages)},
    {"listen", VALUE, offsetof(struct options, listen)},
    {"grpc-listen", VALUE, offsetof(struct options, grpc_listen)},
    {"tls-cert", VALUE, offsetof(struct options, tls_cert)},
    {"tls-key", VALUE, offsetof(struct options, tls_key)},
    {"log-level", VALUE, offsetof(struct options, log_level)},
    {"log-format", VALUE, offsetof(struct options, log_format)},
    {"system", VALUE, offsetof(struct options, system)},
    {"user", VALUE, offsetof(struct options, user)},
    {"retention-days", VALUE, offsetof(struct options, retention_days)},
    {"plan", VALUE, offsetof(struct options, plan)},
    {"rate", VALUE, offsetof(struct options, rate)},
    {"email", VALUE, offsetof(struct options, email)},
    {"role", VALUE, offsetof(struct options, role)},
    {"out", VALUE, offsetof(struct options, out)},
    {"from", VALUE, offsetof(struct options, from)},
    {"to", VALUE, offsetof(struct options, to)},
    {"report", VALUE, offsetof(struct options, report)},
};
enum { OPTION_COUNT = sizeof table / sizeof *table };

static void take(struct options *out, size_t which, const char *value)
{
    char *place = (char *)out + table[which].offset;
    const bool yes = true;
    if (table[which].kind == FLAG)
        memcpy(place, &yes, sizeof yes);
    else
        memcpy(place, &value, sizeof value);
}

static bool take_words(int argc, char **argv, struct options *out, struct error *err)
{
    for (int i = optind; i < argc; i++) {
        if (out->word_count == OPTIONS_MAX_WORDS) {
            error_set(err, FAIL_INVALID, "'%s' is one word too many", argv[i]);
            return error_remedy(err, "see " PROGRAM " --help");
        }
        out->words[out->word_count++] = argv[i];
    }
    return true;
}

bool options_parse(int argc, char **argv, struct options *out, struct error *err)
{
    struct option known[OPTION_COUNT + 1] = {0};
    for (size_t i = 0; i < OPTION_COUNT; i++)
        known[i] =
            (struct option){.name = table[i].name,
                            .has_arg = table[i].kind == VALUE ? required_argument : no_argument};
    *out = (struct options){0};
    opterr = 0;
    optind = 1;
    int which = 0;
    for (;;) {
        int c = getopt_long(argc, argv, ":h", known, &which);
        if (c == -1)
            return take_words(argc, argv, out, err);
        if (c == 'h') {
            out->help = true;
        } else if (c == 0) {
            take(out, (size_t)which, optarg);
        } else {
            error_set(err, FAIL_INVALID, c == ':' ? "'%s' needs a value" : "'%s' is no option",
                      argv[optind - 1]);
            return error_remedy(err, "see " PROGRAM " --help");
        }
    }
}

void options_print_help(void)
{
    fputs("usage: " PROGRAM " COMMAND [OPTIONS]\n"
          "\n"
          "  serve                     receive telemetry and answer questions, until SIGTERM\n"
          "      --listen HOST:PORT      default 127.0.0.1:4320; port 0 takes a free one\n"
          "      --grpc-listen HOST:PORT OTLP over gRPC; off by default\n"
          "      --tls-cert FILE --tls-key FILE   PEM; read again on SIGHUP\n"
          "  system create NAME        a system is what tokens and messages belong to\n"
          "  system list\n"
          "  token create --system NAME [--user EMAIL] [--retention-days N]\n"
          "               [--plan free|pro|enterprise] [--rate RECORDS_PER_S]\n"
          "                            prints the token, once; only its hash is kept\n"
          "  token list\n"
          "  token revoke PREFIX       acts within seconds, also on a running server\n"
          "  enrollment-secret create [--system NAME]\n"
          "                            prints what devices enrol with, once\n"
          "  enrollment-secret list\n"
          "  enrollment-secret revoke PREFIX\n"
          "  device list\n"
          "  device remove DEVICE      forget a machine and revoke its tokens\n"
          "  user create --email EMAIL --role viewer|analyst|auditor|admin --password-stdin\n"
          "  user list\n"
          "  user role --email EMAIL --role ROLE\n"
          "  user password --email EMAIL --password-stdin\n"
          "                            logs the user out everywhere, too\n"
          "  user logout --email EMAIL ends all sessions and bearer tokens of the user\n"
          "  user delete --email EMAIL\n"
          "  import run [--from DATE [--to DATE]] [--report NAME]\n"
          "                            fetch usage from the configured APIs; goes on where a run "
          "stopped\n"
          "  import status             how far each report is, and what its API last said\n"
          "  retention run             delete what is past its token's retention\n"
          "  erase --email EMAIL       delete everything of a person, for good\n"
          "  audit list                the last thousand entries, newest first\n"
          "  audit verify              check that no entry was changed; prints the newest one's "
          "hash\n"
          "  check-config              what is wrong with server.yaml, if anything is\n"
          "      --print-markdown        every key there is, as docs/server-configuration.md\n"
          "  backup --out DIR          copy control.db and messages.db as of now into a new DIR\n"
          "\n"
          "  every command:\n"
          "      --data DIR              where the SQLite files are; of one server each\n"
          "      --store URL             sqlite:DIR or sqlite:FILE.db; default control.db in DIR;\n"
          "                              for several servers postgres://USER@HOST/DATABASE\n"
          "      --messages URL          of rows alone: as above, or "
          "clickhouse+http://HOST:8123/DB;\n"
          "                              default messages.db in DIR, or beside FILE.db\n"
          "      --config FILE           default /etc/claude-telemetry/server.yaml\n"
          "      --root DIR              every system path is taken below DIR\n"
          "      --log-level error|warn|info|debug   --log-format text|json\n"
          "      --json                  answers to be read by programs\n"
          "      --help   --version\n",
          stdout);
}
