/* The environment of a test's own process, the same way on every system. */
#ifndef TESTS_SUPPORT_ENVIRONMENT_H
#define TESTS_SUPPORT_ENVIRONMENT_H

/* Both are copied; a NULL value takes the variable away. */
void environment_set(const char *name, const char *value);

#endif
