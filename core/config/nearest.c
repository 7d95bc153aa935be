#include "core/config/nearest.h"

#include <string.h>

enum { LONGEST = 96, WRONG_LEVEL = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t config_distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST + 1]; /* the row before last, the last, this one */
    size_t *older = rows[0], *old = rows[1], *row = rows[2];
    size_t a_len = strnlen(a, LONGEST), b_len = strnlen(b, LONGEST);

    for (size_t j = 0; j <= b_len; j++)
        old[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = old[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(replaced, 1 + least(old[j], row[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], older[j - 2] + 1);
        }
        size_t *reuse = older;
        older = old;
        old = row;
        row = reuse;
    }
    return old[b_len];
}

static const char *last_word(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

size_t config_path_distance(const char *typed, const char *valid)
{
    return least(config_distance(typed, valid),
                 WRONG_LEVEL + config_distance(last_word(typed), last_word(valid)));
}
