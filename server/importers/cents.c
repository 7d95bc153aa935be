/* Money of the vendor's APIs: decimal strings of cents, never through binary floating point. */
#include "server/importers/page.h"

enum { CENT_DECIMALS = 6 };

/* USD x 10^8 is cents x 10^6. */
bool api_cents_to_1e8_usd(struct bytes text, int64_t *out)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t at = negative ? 1 : 0;
    size_t digits = 0, decimals = 0;
    bool in_fraction = false;
    int64_t value = 0;

    for (; at < text.len; at++) {
        uint8_t c = text.data[at];
        if (c == '.' && !in_fraction && digits > 0) {
            in_fraction = true;
            continue;
        }
        if (c < '0' || c > '9')
            return false;
        digits++;
        if (in_fraction && decimals == CENT_DECIMALS) {
            if (c != '0')
                return false;
            continue;
        }
        decimals += in_fraction;
        if (value > (INT64_MAX - (c - '0')) / 10)
            return false;
        value = value * 10 + (c - '0');
    }
    if (digits == 0 || (in_fraction && text.data[text.len - 1] == '.'))
        return false;
    for (; decimals < CENT_DECIMALS; decimals++) {
        if (value > INT64_MAX / 10)
            return false;
        value *= 10;
    }
    *out = negative ? -value : value;
    return true;
}
