/* server/fleet/claude_versions.csv as it is in the program; the build makes the .c file. */
#ifndef SERVER_FLEET_CLAUDE_VERSIONS_CSV_H
#define SERVER_FLEET_CLAUDE_VERSIONS_CSV_H

#include <stddef.h>

extern const unsigned char claude_versions_csv[];
extern const size_t claude_versions_csv_len;

#endif
