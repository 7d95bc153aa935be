/* A private directory for one test, removed with all that is in it. */
#ifndef TESTS_SUPPORT_TEMP_DIR_H
#define TESTS_SUPPORT_TEMP_DIR_H

#include <stdbool.h>

/* Makes one; the caller passes the result to temp_dir_remove(). Stops the test on failure. */
char *temp_dir_make(void);
void temp_dir_remove(char *dir); /* frees the string; NULL is fine */

/* Whether a file below `dir` has this text in it. */
bool temp_dir_holds(const char *dir, const char *text);

#endif
