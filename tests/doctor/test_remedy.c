#include "doctor/remedy.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/expect.h"

/* What only one system's administrators type. */
static const struct word {
    const char *word;
    bool known[REMEDY_SYSTEMS];
} words[] = {
    {"sudo", {true, true, false}},
    {"rm", {true, true, false}},
    {"mv", {true, true, false}},
    {"chmod", {true, true, false}},
    {"chown", {true, true, false}},
    {"unset", {true, true, false}},
    {"df", {true, true, false}},
    {"grep", {true, true, false}},
    {"tail", {true, true, false}},
    {"&&", {true, true, false}},
    {"ss", {true, false, false}},
    {"systemctl", {true, false, false}},
    {"journalctl", {true, false, false}},
    {"timedatectl", {true, false, false}},
    {"dmesg", {true, false, false}},
    {"update-ca-certificates", {true, false, false}},
    {"update-ca-trust", {true, false, false}},
    {"launchctl", {false, true, false}},
    {"systemsetup", {false, true, false}},
    {"lsof", {false, true, false}},
    {"diskutil", {false, true, false}},
    {"security", {false, true, false}},
    {"icacls", {false, false, true}},
    {"del", {false, false, true}},
    {"move", {false, false, true}},
    {"netstat", {false, false, true}},
    {"sc.exe", {false, false, true}},
    {"w32tm", {false, false, true}},
    {"chkdsk", {false, false, true}},
    {"fsutil", {false, false, true}},
    {"notepad", {false, false, true}},
    {"certutil", {false, false, true}},
    {"administrator", {false, false, true}},
};

static bool holds_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += len) {
        bool starts = at == text || isspace((unsigned char)at[-1]);
        if (starts && (at[len] == '\0' || strchr(" ,;", at[len])))
            return true;
    }
    return false;
}

START_TEST(no_remedy_names_what_its_system_does_not_know)
{
    static const char *const subjects[] = {"/etc/x/a.json", "/Library/x/a.json", "C:/x/a.json"};
    size_t told = 0;
    for (int system = 0; system < REMEDY_SYSTEMS; system++)
        for (int which = 0; which < REMEDY_COUNT; which++) {
            char out[REMEDY_BYTES];
            remedy_words((enum remedy_system)system, (enum remedy)which, subjects[system], "9:9",
                         out);
            ck_assert_msg(strlen(out) > 5, "remedy %d of system %d is '%s'", which, system, out);
            ck_assert_msg(!strpbrk(out, "{}%"), "'%s'", out);
            ck_assert_msg(system != REMEDY_WINDOWS || !strchr(out, '\'') || which == REMEDY_UNSET,
                          "'%s': cmd knows no such quotes", out);
            for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (holds_word(out, words[i].word)) {
                    ck_assert_msg(words[i].known[system], "'%s' is typed on system %d", out,
                                  system);
                    told++;
                }
        }
    ck_assert_uint_ge(told, 50);
}
END_TEST

static const struct row {
    enum remedy_system system;
    enum remedy which;
    const char *subject, *expected;
} rows[] = {
    {REMEDY_LINUX, REMEDY_REMOVE_FILE, "/a b/it's", "sudo rm '/a b/it'\\''s'"},
    {REMEDY_MACOS, REMEDY_RENAME, "/a b", "sudo mv '/a b' '/a b.old'"},
    {REMEDY_WINDOWS, REMEDY_RENAME, "C:/a b/c", "move \"C:\\a b\\c\" \"C:\\a b\\c.old\""},
    {REMEDY_LINUX, REMEDY_GIVE_TO_SERVICE, "/a", "sudo chown -R 9:9 '/a'"},
    {REMEDY_WINDOWS, REMEDY_GIVE_TO_SERVICE, "C:/a", "icacls \"C:\\a\" /setowner \"*S-1-5-18\" /t"},
    {REMEDY_WINDOWS, REMEDY_LOOK_AT_DISK, "D:/spool", "chkdsk D: /scan"},
    {REMEDY_WINDOWS, REMEDY_LOOK_AT_DISK, "/spool", "chkdsk C: /scan"},
    {REMEDY_WINDOWS, REMEDY_SHOW_LOG, "C:/ProgramData/ClaudeTelemetry",
     "notepad \"C:\\ProgramData\\ClaudeTelemetry\\log\\agent.log\""},
    {REMEDY_MACOS, REMEDY_SET_CLOCK, NULL, "sudo systemsetup -setusingnetworktime on"},
};

START_TEST(subjects_are_quoted_as_the_system_s_shells_want_them)
{
    const struct row *row = &rows[_i];
    char out[REMEDY_BYTES];
    ck_assert_str_eq(remedy_words(row->system, row->which, row->subject, "9:9", out),
                     row->expected);
}
END_TEST

START_TEST(a_subject_that_is_too_long_is_cut)
{
    char subject[2 * REMEDY_BYTES], out[REMEDY_BYTES];
    memset(subject, '\'', sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    remedy_words(REMEDY_LINUX, REMEDY_RENAME, subject, NULL, out);
    ck_assert_uint_eq(strlen(out), REMEDY_BYTES - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remedy");
    TCase *tcase = tcase_create("remedy");
    tcase_add_test(tcase, no_remedy_names_what_its_system_does_not_know);
    tcase_add_loop_test(tcase, subjects_are_quoted_as_the_system_s_shells_want_them, 0,
                        sizeof rows / sizeof *rows);
    tcase_add_test(tcase, a_subject_that_is_too_long_is_cut);
    suite_add_tcase(suite, tcase);
    return expect_run(suite);
}
