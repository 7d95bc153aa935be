/* The first byte picks the signal. Whatever passes the check is walked, record for record. */
#include "tests/fuzz/otlp_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum otlp_signal signal = (enum otlp_signal)(data[0] % OTLP_SIGNAL_COUNT);
    struct bytes request = bytes_make(data + 1, size - 1);
    struct otlp_records records = {0};
    struct error err;
    uint64_t counted = 0;
    bool sound = otlp_check(signal, request, &counted, &err);
    bool walked = walk(signal, request, &records);
    if (sound)
        must(walked && records.count == counted);
    return 0;
}
