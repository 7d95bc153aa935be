/* How a range of days is cut into questions to a report. Private to server/importers. */
#ifndef SERVER_IMPORTERS_CHUNKS_H
#define SERVER_IMPORTERS_CHUNKS_H

#include "server/store/api_usage.h"

/* The chunk that starts on `from`, none when that is behind `to` (inclusive). */
bool chunk_next(enum api_report report, const char *from, const char *to, struct api_chunk *out);
uint32_t chunk_count(enum api_report report, const char *from, const char *to);

#endif
