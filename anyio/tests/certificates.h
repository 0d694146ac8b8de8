/* Certificates for the tests of TLS, made when the program starts. All in PEM, in memory. */
#ifndef ANYIO_TESTS_CERTIFICATES_H
#define ANYIO_TESTS_CERTIFICATES_H

#include <anyio/tls.h>
#include <openssl/x509.h>

struct identity {
	X509 *x509;
	EVP_PKEY *pkey;
	char *chain; /* the certificate and its issuers but the root */
	char *key;
};

struct certificates {
	struct identity root, other_root, middle;
	struct identity server; /* EC, by middle: localhost, *.wild.test, 127.0.0.1, ::1 */
	struct identity rsa;    /* RSA 2048, by root: localhost */
	struct identity expired, not_yet, elsewhere; /* as server, but */
	struct identity client;                      /* by root */
	struct identity stranger;                    /* a client's, by other_root */
};

extern struct certificates certificates;
void certificates_make(void);
void certificates_free(void);

struct anyio_tls_pem pem_of(const char *text);
/* Writes text to a new file in folder. */
void pem_write(const char *folder, const char *name, const char *text);

#endif
