/* CRC-32C (Castagnoli), with the processor's instruction where it has one. */
#ifndef AGENT_RELAY_CRC32C_H
#define AGENT_RELAY_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `len` bytes; pieces give the same result as the whole. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same from a table: what processors without the instruction use. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
