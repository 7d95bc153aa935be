#include "doctor/remedy.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "platform/platform.h"

/*
 * {path} is the subject, quoted; {text} the subject as it is, {drive} the
 * volume it lies on; {whom} as given. Groups of Windows: S-1-5-18 the system,
 * S-1-5-32-544 administrators, S-1-5-32-545 users, S-1-1-0 everybody,
 * S-1-5-11 everybody who signed in.
 */
static const char *const templates[REMEDY_COUNT][REMEDY_SYSTEMS] = {
    [REMEDY_REMOVE_FILE] = {"sudo rm {path}", "sudo rm {path}", "del {path}"},
    [REMEDY_REMOVE_FOLDER] = {"sudo rmdir {path}", "sudo rmdir {path}", "rmdir {path}"},
    [REMEDY_RENAME] = {"sudo mv {path} {path.old}", "sudo mv {path} {path.old}",
                       "move {path} {path.old}"},
    [REMEDY_LET_ALL_READ_FILE] = {"sudo chmod 644 {path}", "sudo chmod 644 {path}",
                                  "icacls {path} /grant \"*S-1-5-32-545:R\""},
    [REMEDY_LET_ALL_READ_FOLDER] = {"sudo chmod 755 {path}", "sudo chmod 755 {path}",
                                    "icacls {path} /grant \"*S-1-5-32-545:(OI)(CI)RX\""},
    [REMEDY_LET_OWNER_READ] = {"chmod u+r {path}", "chmod u+r {path}", "icacls {path} /reset"},
    [REMEDY_KEEP_FROM_OTHERS] = {"sudo chmod o-rwx {path}", "sudo chmod o-rwx {path}",
                                 "icacls {path} /inheritance:r /grant:r \"*S-1-5-18:F\" "
                                 "\"*S-1-5-32-544:F\" /remove \"*S-1-1-0\" \"*S-1-5-11\" "
                                 "\"*S-1-5-32-545\""},
    /* What lies below Program Files inherits that only administrators write. */
    [REMEDY_LET_ONLY_OWNER_WRITE] = {"sudo chmod o-w {path}", "sudo chmod o-w {path}",
                                     "icacls {path} /reset"},
    [REMEDY_GIVE_TO_ADMINISTRATOR] = {"sudo chown root {path}", "sudo chown root {path}",
                                      "icacls {path} /setowner \"*S-1-5-32-544\""},
    [REMEDY_GIVE_TO_SERVICE] = {"sudo chown -R {whom} {path}", "sudo chown -R {whom} {path}",
                                "icacls {path} /setowner \"*S-1-5-18\" /t"},
    [REMEDY_LET_OWNER_IN] = {"sudo chmod 700 {path}", "sudo chmod 700 {path}",
                             "icacls {path} /grant \"*S-1-5-18:(OI)(CI)F\""},
    [REMEDY_SET_CLOCK] = {"sudo timedatectl set-ntp true",
                          "sudo systemsetup -setusingnetworktime on", "w32tm /resync /force"},
    [REMEDY_LIST_LISTENERS] = {"sudo ss -ltnp", "sudo lsof -nP -iTCP -sTCP:LISTEN",
                               "netstat -abno"},
    [REMEDY_LOOK_AT_DISK] = {"sudo dmesg | grep -i error", "diskutil verifyVolume /",
                             "chkdsk {drive} /scan"},
    [REMEDY_SHOW_FREE_SPACE] = {"df -h {path}", "df -h {path}", "fsutil volume diskfree {drive}"},
    [REMEDY_SHOW_LOG] = {"journalctl -u claude-telemetry-agent",
                         "sudo tail -n 50 /Library/Logs/claude-telemetry-agent.log",
                         "notepad {path/log}"},
    [REMEDY_TRUST_AUTHORITY] = {"update-ca-certificates, on Red Hat's systems update-ca-trust",
                                "sudo security add-trusted-cert -d -k "
                                "/Library/Keychains/System.keychain FILE.pem",
                                "certutil -addstore Root FILE.pem"},
    [REMEDY_UNSET] = {"run: unset {text}    then start Claude Code again from there",
                      "run: unset {text}    then start Claude Code again from there",
                      "take {text} out of the environment variables in Windows' settings, then "
                      "start Claude Code from a new console"},
    [REMEDY_ALLOW_START] = {"sudo systemctl unmask claude-telemetry-agent && sudo systemctl "
                            "enable --now claude-telemetry-agent",
                            "sudo launchctl enable system/com.claude-telemetry.agent",
                            "sc.exe config claude-telemetry-agent start= auto"},
    [REMEDY_GET_RIGHTS] = {"run it with sudo", "run it with sudo",
                           "run it from a console that was opened as administrator"},
};

enum remedy_system remedy_here(void)
{
    struct platform_os os;
    platform_os(&os);
    return strcmp(os.name, "windows") == 0  ? REMEDY_WINDOWS
           : strcmp(os.name, "darwin") == 0 ? REMEDY_MACOS
                                            : REMEDY_LINUX;
}

const char *remedy_who(void)
{
    return remedy_here() == REMEDY_WINDOWS ? "an administrator" : "root";
}

struct text {
    char *at;
    size_t room; /* without the NUL */
};

static void put(struct text *t, char c)
{
    if (t->room == 0)
        return;
    *t->at++ = c;
    t->room--;
}

static void put_all(struct text *t, const char *text)
{
    while (*text)
        put(t, *text++);
}

/* As the system's shells take a path, whatever stands in it; `end` belongs to it. */
static void put_path(struct text *t, enum remedy_system system, const char *path, const char *end)
{
    const char *const parts[] = {path, end};
    bool windows = system == REMEDY_WINDOWS;
    put(t, windows ? '"' : '\'');
    for (size_t i = 0; i < 2; i++)
        for (const char *c = parts[i]; *c; c++) {
            if (!windows && *c == '\'')
                put_all(t, "'\\''");
            else
                put(t, windows && *c == '/' ? '\\' : *c);
        }
    put(t, windows ? '"' : '\'');
}

static void put_drive(struct text *t, const char *path)
{
    bool named = path[0] && path[1] == ':';
    put(t, named ? path[0] : 'C');
    put(t, ':');
}

static void put_field(struct text *t, enum remedy_system system, const char *field, size_t len,
                      const char *subject, const char *whom)
{
    static const struct {
        const char *name, *end;
    } paths[] = {{"path", ""}, {"path.old", ".old"}, {"path/log", "/log/agent.log"}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strlen(paths[i].name) == len && strncmp(field, paths[i].name, len) == 0) {
            put_path(t, system, subject, paths[i].end);
            return;
        }
    if (strncmp(field, "text", len) == 0)
        put_all(t, subject);
    else if (strncmp(field, "drive", len) == 0)
        put_drive(t, subject);
    else
        put_all(t, whom);
}

const char *remedy_words(enum remedy_system system, enum remedy which, const char *subject,
                         const char *whom, char out[REMEDY_BYTES])
{
    struct text t = {.at = out, .room = REMEDY_BYTES - 1};
    const char *at = templates[which][system];
    assert(at);
    while (*at) {
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (!end) {
            put(&t, *at++);
            continue;
        }
        put_field(&t, system, at + 1, (size_t)(end - at - 1), subject ? subject : "",
                  whom ? whom : "");
        at = end + 1;
    }
    *t.at = '\0';
    return out;
}

const char *remedy(enum remedy which, const char *subject, char out[REMEDY_BYTES])
{
    return remedy_words(remedy_here(), which, subject, NULL, out);
}
