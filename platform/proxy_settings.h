/* Proxy settings as systems write them down. For this folder and its tests. */
#ifndef PLATFORM_PROXY_SETTINGS_H
#define PLATFORM_PROXY_SETTINGS_H

#include "base/bytes.h"
#include "platform/proxy.h"

/*
 * Windows: "proxy:8080" for everything, or "http=a:80;https=b:80;socks=c:1080"; of several the first
 * counts. False when nothing is for this scheme.
 */
bool proxy_of_list(const char *list, bool is_tls, char out[PLATFORM_PROXY_BYTES]);

/*
 * Whether a list of exceptions names the host: names with "*" in them, "<local>" for names without a
 * dot, "169.254/16". Between them stand ';', ',' or blanks.
 */
bool proxy_is_exempt(const char *list, const char *host);

/* macOS: what `scutil --proxy` prints. Fills `url`, `source` and `problem`. */
void proxy_of_scutil(struct bytes text, bool is_tls, const char *host, struct platform_proxy *out);

#endif
