#include "doctor/tls_fault.h"

#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"

/* Products that open TLS on the way, by what stands in the certificates they make. */
static const char *const openers[] = {
    "Zscaler",
    "Netskope",
    "Palo Alto",
    "Fortinet",
    "FortiGate",
    "Cisco Umbrella",
    "Blue Coat",
    "Symantec",
    "Forcepoint",
    "Websense",
    "Sophos",
    "McAfee",
    "Skyhigh",
    "Trellix",
    "Check Point",
    "Barracuda",
    "WatchGuard",
    "SonicWall",
    "Cloudflare Gateway",
    "iboss",
    "Menlo",
    "Untangle",
    "pfSense",
    "Kaspersky",
    "Avast",
    "AVG ",
    "ESET",
    "Bitdefender",
    "mitmproxy",
    "Charles Proxy",
    "Fiddler",
    "PortSwigger",
    "Burp",
};

static const char *opener(const char *authority)
{
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++)
        if (strstr(authority, openers[i]))
            return openers[i];
    return NULL;
}

static void tell_untrusted(const struct tls_fault *f, char *seen, size_t seen_size, char *fix,
                           size_t fix_size)
{
    const struct http_certificate *c = f->certificate;
    const char *who = opener(c->authority);
    char trust[REMEDY_BYTES];
    if (who)
        snprintf(seen, seen_size,
                 "TLS to '%s' is opened on the way: the certificate comes from '%s', which a "
                 "corporate proxy or virus scanner (%s) makes for every site, and which is not "
                 "trusted here",
                 f->host, c->authority, who);
    else if (f->proxy)
        snprintf(seen, seen_size,
                 "the certificate of '%s' comes from '%s', which is not trusted here: the proxy "
                 "'%s' opens TLS, or it is a private authority",
                 f->host, c->authority, f->proxy);
    else
        snprintf(seen, seen_size,
                 "the certificate of '%s' comes from '%s', which is not trusted here: a private "
                 "authority, or a corporate proxy that opens TLS",
                 f->host, c->authority);
    snprintf(fix, fix_size,
             "%s the PEM file of '%s' in ca_file of this destination (server.ca_file for the "
             "server), or add it to the system's store: %s%s",
             f->ca_file ? "put" : "name", c->authority, remedy(REMEDY_TRUST_AUTHORITY, NULL, trust),
             who ? "; or let the proxy leave this host alone" : "");
}

static void tell_certificate(const struct tls_fault *f, char *seen, size_t seen_size, char *fix,
                             size_t fix_size)
{
    const struct http_certificate *c = f->certificate;
    char clock[REMEDY_BYTES];
    switch (c->fault) {
    case HTTP_CERTIFICATE_EXPIRED:
        if (c->fault_is_of_peer)
            snprintf(seen, seen_size, "the certificate of '%s' has expired %d days ago", f->host,
                     c->valid_days < 0 ? -c->valid_days : 0);
        else
            snprintf(seen, seen_size,
                     "the certificate of an authority above that of '%s', '%s', has expired",
                     f->host, c->authority);
        snprintf(fix, fix_size, "renew the certificate of '%s', or correct this machine's clock",
                 f->host);
        break;
    case HTTP_CERTIFICATE_NOT_YET_VALID:
        snprintf(seen, seen_size, "the certificate of '%s' is not valid yet", f->host);
        snprintf(fix, fix_size, "correct this machine's clock: %s",
                 remedy(REMEDY_SET_CLOCK, NULL, clock));
        break;
    case HTTP_CERTIFICATE_SELF_SIGNED:
        snprintf(seen, seen_size,
                 "the certificate of '%s' is signed by itself ('%s') and not trusted here", f->host,
                 c->authority);
        snprintf(fix, fix_size,
                 "%s it as a PEM file in ca_file of this destination (server.ca_file for the "
                 "server), or give '%s' a certificate of a known authority",
                 f->ca_file ? "put" : "name", f->host);
        break;
    case HTTP_CERTIFICATE_UNTRUSTED:
        tell_untrusted(f, seen, seen_size, fix, fix_size);
        break;
    case HTTP_CERTIFICATE_SOUND:
        snprintf(seen, seen_size, "the certificate is for another name than '%s': %s", f->host,
                 c->names[0] ? c->names : "for none");
        snprintf(fix, fix_size,
                 "use a name that the certificate has, or give the receiver one for '%s'", f->host);
        break;
    default:
        snprintf(seen, seen_size, "the certificate of '%s' is refused: %s", f->host, c->words);
        snprintf(fix, fix_size, "give '%s' a certificate without that fault", f->host);
    }
}

void tls_fault_tell(const struct tls_fault *f, char *seen, size_t seen_size, char *fix,
                    size_t fix_size)
{
    bool is_plain = strstr(f->error, "wrong version number") || strstr(f->error, "packet length") ||
                    strstr(f->error, "unexpected eof") || strstr(f->error, "http request");
    if (strstr(f->error, "CA file")) {
        snprintf(seen, seen_size, "%s", f->error);
        snprintf(fix, fix_size, "put the authority's certificates into '%s', as PEM",
                 f->ca_file ? f->ca_file : "ca_file");
    } else if (f->certificate->is_there) {
        tell_certificate(f, seen, seen_size, fix, fix_size);
    } else {
        snprintf(seen, seen_size, "%s%s", f->error, is_plain ? " (no TLS is spoken there)" : "");
        snprintf(fix, fix_size, "use http:// if port %s of '%s' is a plain port, else mend its TLS",
                 f->port, f->host);
    }
}
