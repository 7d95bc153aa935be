#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/platform.h"

enum { LINE_BYTES = 512 };

struct mapping {
    void *start;
    size_t len;
    bool is_plain_file; /* of a file, not writable, and nothing in it differs from the file */
};

/* "7f..-7f.. r-xp 00000000 08:01 1234  /usr/lib/x.so": the head of a mapping. */
static bool read_head(const char *line, struct mapping *out)
{
    unsigned long start = 0;
    unsigned long end = 0;
    char rights[5] = "";
    if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3)
        return false;
    out->start = (void *)start;
    out->len = end - start;
    out->is_plain_file = strchr(line, '/') != NULL && rights[1] == '-';
    return true;
}

/*
 * Relocated parts of a library look like a plain file too, but differ from it:
 * they have anonymous pages, and dropping those would lose them.
 */
void platform_trim_memory(void)
{
    malloc_trim(0);
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (!maps)
        return;
    char line[LINE_BYTES];
    struct mapping mapping = {0};
    unsigned long anonymous_kib = 0;
    while (fgets(line, sizeof line, maps)) {
        struct mapping next;
        if (read_head(line, &next))
            mapping = next;
        else if (sscanf(line, "Anonymous: %lu kB", &anonymous_kib) == 1 && anonymous_kib == 0 &&
                 mapping.is_plain_file)
            (void)madvise(mapping.start, mapping.len, MADV_DONTNEED);
    }
    fclose(maps);
}
