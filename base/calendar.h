/* Dates of the Gregorian calendar as numbers of days. */
#ifndef BASE_CALENDAR_H
#define BASE_CALENDAR_H

#include <stdint.h>

/* Days since 1970-01-01; `month` from 1. */
int64_t calendar_days(int64_t year, unsigned month, unsigned day);

#endif
