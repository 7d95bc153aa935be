#include "tests/support/environment.h"

#include <stdlib.h>

#include "tests/support/expect.h"

void environment_set(const char *name, const char *value)
{
#if defined(_WIN32)
    ck_assert_int_eq(_putenv_s(name, value ? value : ""), 0);
#else
    ck_assert_int_eq(value ? setenv(name, value, 1) : unsetenv(name), 0);
#endif
}
