#include "certificates.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct certificates certificates;

struct wish {
	const char *name;
	const char *alt; /* subject alternative names, as in openssl.cnf */
	const struct identity *issuer;
	bool ca, rsa;
	const char *from, *to; /* years; NULL: a century around now, fixed for tests/fuzz */
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static bool set_year(ASN1_TIME *time, const char *year)
{
	char text[32];

	snprintf(text, sizeof(text), "%s0101000000Z", year);
	return ASN1_TIME_set_string_X509(time, text) == 1;
}

static void fill(X509 *x509, EVP_PKEY *key, const struct wish *wish)
{
	static long serial = 1;
	X509_NAME *name = X509_get_subject_name(x509);
	X509 *issuer = wish->issuer == NULL ? x509 : wish->issuer->x509;

	must(X509_set_version(x509, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
	must(set_year(X509_getm_notBefore(x509), wish->from == NULL ? "2020" : wish->from));
	must(set_year(X509_getm_notAfter(x509), wish->to == NULL ? "2120" : wish->to));
	must(X509_NAME_add_entry_by_txt(
		     name, "CN", MBSTRING_ASC, (const unsigned char *)wish->name, -1, -1, 0) == 1);
	must(X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1);
	must(X509_set_pubkey(x509, key) == 1);
	extend(x509, issuer, NID_basic_constraints, wish->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (wish->alt != NULL)
		extend(x509, issuer, NID_subject_alt_name, wish->alt);
	must(X509_sign(x509, wish->issuer == NULL ? key : wish->issuer->pkey, EVP_sha256()) > 0);
}

static char *text_of(BIO *bio)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);
	char *text = malloc((size_t)size + 1);

	must(text != NULL);
	memcpy(text, data, (size_t)size);
	text[size] = '\0';
	BIO_free(bio);
	return text;
}

static void make(struct identity *self, struct wish wish)
{
	BIO *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());

	self->pkey = wish.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	self->x509 = X509_new();
	must(self->pkey != NULL && self->x509 != NULL);
	fill(self->x509, self->pkey, &wish);
	must(PEM_write_bio_X509(chain, self->x509) == 1);
	if (wish.issuer != NULL && wish.issuer->x509 == certificates.middle.x509)
		must(PEM_write_bio_X509(chain, wish.issuer->x509) == 1);
	must(PEM_write_bio_PKCS8PrivateKey(key, self->pkey, NULL, NULL, 0, NULL, NULL) == 1);
	self->chain = text_of(chain);
	self->key = text_of(key);
}

void certificates_make(void)
{
	static const char local[] = "DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1";
	struct certificates *all = &certificates;

	make(&all->root, (struct wish){ .name = "root", .ca = true });
	make(&all->other_root, (struct wish){ .name = "other root", .ca = true });
	make(&all->middle, (struct wish){ .name = "middle", .issuer = &all->root, .ca = true });
	make(&all->server, (struct wish){ .name = "server", .alt = local, .issuer = &all->middle });
	make(&all->rsa,
		(struct wish){ .name = "rsa", .alt = local, .issuer = &all->root, .rsa = true });
	make(&all->expired,
		(struct wish){ .name = "expired",
			.alt = local,
			.issuer = &all->root,
			.from = "2010",
			.to = "2012" });
	make(&all->not_yet,
		(struct wish){ .name = "not yet",
			.alt = local,
			.issuer = &all->root,
			.from = "2110",
			.to = "2111" });
	make(&all->elsewhere,
		(struct wish){ .name = "localhost",
			.alt = "DNS:elsewhere.test,IP:127.0.0.9",
			.issuer = &all->root });
	make(&all->client, (struct wish){ .name = "client", .issuer = &all->root });
	make(&all->stranger, (struct wish){ .name = "stranger", .issuer = &all->other_root });
}

void certificates_free(void)
{
	struct identity *at = (struct identity *)&certificates;

	for (size_t i = 0; i < sizeof(certificates) / sizeof(*at); i++) {
		X509_free(at[i].x509);
		EVP_PKEY_free(at[i].pkey);
		free(at[i].chain);
		free(at[i].key);
	}
}

struct anyio_tls_pem pem_of(const char *text)
{
	return (struct anyio_tls_pem){ .data = text, .size = strlen(text) };
}

void pem_write(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	must(file != NULL && fputs(text, file) >= 0);
	must(fclose(file) == 0);
}
