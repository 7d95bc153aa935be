/* Dates of the Gregorian calendar as numbers of days. */
#ifndef BASE_CALENDAR_H
#define BASE_CALENDAR_H

#include <stdint.h>

/* Days since 1970-01-01; `month` from 1. */
int64_t calendar_days(int64_t year, unsigned month, unsigned day);

/* The date of that day, also before 1970; `month` and `day` from 1. */
void calendar_date(int64_t days, int64_t *year, unsigned *month, unsigned *day);

/* 28 to 31. */
unsigned calendar_days_in_month(int64_t year, unsigned month);

#endif
