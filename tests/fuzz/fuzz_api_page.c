/* A page of a vendor's report: the first byte chooses the report. */
#include <stddef.h>
#include <stdint.h>

#include "server/importers/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *context, const struct api_usage *row)
{
    *(int64_t *)context += row->sessions & 1;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_page page;
    struct error err;
    int64_t sum = 0;
    char message[64];
    if (size == 0)
        return 0;
    struct bytes body = bytes_make(data + 1, size - 1);
    (void)!api_page_read((enum api_report)(data[0] % API_REPORT_COUNT), "2026-11-20", body, take,
                         &sum, &page, &err);
    api_error_message(body, message, sizeof message);
    return 0;
}
