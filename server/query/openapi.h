/* openapi.json, in the program: generated from server/query/openapi.json at build time. */
#ifndef SERVER_QUERY_OPENAPI_H
#define SERVER_QUERY_OPENAPI_H

#include <stddef.h>

extern const unsigned char openapi_json[];
extern const size_t openapi_json_len;

#endif
