/* The message database's schema, step by step: a released step never changes. */
#ifndef SERVER_STORE_SQLITE_SCHEMA_H
#define SERVER_STORE_SQLITE_SCHEMA_H

extern const char *const SQLITE_MESSAGE_STEPS[];
extern const int SQLITE_MESSAGE_STEP_COUNT;

#endif
