/* The words of status codes (RFC 9110 section 15). */
#ifndef CORE_HTTP_STATUS_H
#define CORE_HTTP_STATUS_H

/* "Not Found" for 404; "Unknown" for a code that has no name here. A constant. */
const char *http_status_text(int status);

#endif
