/* server/message/prices.csv as it is in the program; the build makes the .c file. */
#ifndef SERVER_MESSAGE_PRICES_CSV_H
#define SERVER_MESSAGE_PRICES_CSV_H

#include <stddef.h>

extern const unsigned char prices_csv[];
extern const size_t prices_csv_len;

#endif
