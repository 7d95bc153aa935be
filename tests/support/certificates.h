/* A private authority and a certificate of it for 127.0.0.1, as an administrator would make them. */
#ifndef TESTS_SUPPORT_CERTIFICATES_H
#define TESTS_SUPPORT_CERTIFICATES_H

/* Names of files in PEM; the caller's. */
struct certificates {
    char *ca, *cert, *key;
};

/* Makes them in the folder `dir`: the authority is called "Test Authority". */
struct certificates certificates_make(const char *dir);
void certificates_clear(struct certificates *files); /* forgets the names; the files stay */

#endif
