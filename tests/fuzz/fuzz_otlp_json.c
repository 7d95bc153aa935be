/* The first byte picks the signal. What converts is a sound request, unless values nest too deep.
 */
#include "core/otlp/json.h"
#include "tests/fuzz/otlp_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum otlp_signal signal = (enum otlp_signal)(data[0] % OTLP_SIGNAL_COUNT);
    struct buffer request = {.max_bytes = MIB};
    struct otlp_records records = {0};
    struct error err;
    uint64_t counted = 0;
    if (otlp_json_to_protobuf(signal, bytes_make(data + 1, size - 1), &request, &err)) {
        bool sound = otlp_check(signal, buffer_bytes(&request), &counted, &err);
        must(sound || strstr(err.cause, "nested too deeply"));
        if (sound)
            must(walk(signal, buffer_bytes(&request), &records) && records.count == counted);
    } else {
        must(request.len == 0 && err.cause[0] != '\0');
    }
    buffer_clear(&request);
    return 0;
}
