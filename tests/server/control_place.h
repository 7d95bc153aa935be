/*
 * Where a control store can be: a test program runs its whole suite in each, first on SQLite, then on
 * PostgreSQL (which says so and is left out where there is none).
 *
 *     static void set_up(void) { store = control_store_open(control_place_make(), &err); … }
 *     static void tear_down(void) { …; control_place_remove(); }
 *     int main(void) { return control_places_run(make_suite); }
 */
#ifndef TESTS_SERVER_CONTROL_PLACE_H
#define TESTS_SERVER_CONTROL_PLACE_H

#include <check.h>
#include <stdbool.h>

/* Makes an empty place of the kind that runs; the URL is good until it is removed. */
const char *control_place_make(void);
void control_place_remove(void);

/* Runs a statement in it behind the store's back; false when the database refuses. */
bool control_place_run_sql(const char *sql);

/* Whether the text stands anywhere in the closed store's file; in PostgreSQL, in a session. */
bool control_place_holds(const char *text);

/* Takes away what keeps honest mistakes from changing the audit log. */
bool control_place_unguard_audit(void);

/* `make_suite` is called once a kind, with its name. The exit code of a test program. */
int control_places_run(Suite *(*make_suite)(const char *kind));

#endif
