/* An integration's state as JSON, the same for the API and the command line. */
#ifndef SERVER_IMPORTERS_INTEGRATIONS_JSON_H
#define SERVER_IMPORTERS_INTEGRATIONS_JSON_H

#include "core/json/writer.h"
#include "server/importers/integrations.h"

void integration_put_json(struct json_writer *writer, const struct integration_status *status);

/* The members state, code, reason and action of an open object. */
void integration_put_health(struct json_writer *writer, const struct health_verdict *health);

#endif
