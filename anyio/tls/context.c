/* Contexts: options to an SSL_CTX. All comes by memory: a file is read first, so that its errors are the
 * kernel's and not OpenSSL's. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tls.h"

enum { PEM_MAX = 16 << 20 };

void tls_context_ref(struct anyio_tls_context *context)
{
	atomic_fetch_add(&context->references, 1);
}

void anyio_tls_context_free(struct anyio_tls_context *context)
{
	if (context == NULL || atomic_fetch_sub(&context->references, 1) > 1)
		return;
	SSL_CTX_free(context->ssl);
	BIO_meth_free(context->bio);
	ERR_clear_error();
	anyio_free(context->alpn);
	anyio_free(context);
}

static int read_whole(int fd, uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO; /* it became shorter meanwhile */
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int pem_read(int fd, struct anyio_tls_pem *pem)
{
	struct stat st;
	uint8_t *data;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ANYIO_NOT_A_FILE;
	if (st.st_size > PEM_MAX)
		return -EFBIG;
	data = anyio_malloc((size_t)st.st_size + 1);
	if (data == NULL)
		return -ENOMEM;
	rc = read_whole(fd, data, (size_t)st.st_size);
	if (rc < 0) {
		anyio_free(data);
		return rc;
	}
	pem->data = data;
	pem->size = (size_t)st.st_size;
	return 0;
}

/* What is given, in memory; loaded->file says that it is to be freed. A link is followed: that is how
 * certificates are renewed. */
static int pem_load(const struct anyio_tls_pem *given, struct anyio_tls_pem *loaded)
{
	int fd, rc;

	*loaded = *given;
	if (given->file == NULL)
		return given->data == NULL || given->size <= PEM_MAX ? 0 : -EFBIG;
	if (given->data != NULL)
		return -EINVAL;
	fd = open(given->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	rc = pem_read(fd, loaded);
	close(fd);
	return rc;
}

static bool pem_given(const struct anyio_tls_pem *pem)
{
	return pem->file != NULL || pem->data != NULL;
}

static int pem_use(const struct anyio_tls_pem *given,
	int (*use)(SSL_CTX *ssl, BIO *bio, const char *password), SSL_CTX *ssl,
	const char *password)
{
	struct anyio_tls_pem pem;
	BIO *bio;
	int rc = pem_load(given, &pem);

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(pem.data == NULL ? "" : pem.data, (int)pem.size);
	rc = bio == NULL ? -ENOMEM : use(ssl, bio, password);
	BIO_free(bio);
	if (pem.file != NULL && pem.data != NULL) {
		OPENSSL_cleanse((void *)pem.data, pem.size);
		anyio_free((void *)pem.data);
	}
	return rc;
}

/* Never asks a terminal. */
static int give_password(char *out, int size, int writing, void *arg)
{
	const char *password = arg;
	size_t length = password == NULL ? 0 : strlen(password);

	if (password == NULL || length > (size_t)size)
		return -1;
	memcpy(out, password, length);
	return (int)length;
}

/* The reason of what OpenSSL refused: memory, or what it was given. */
static int refusal(void)
{
	return ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EBADMSG;
}

/* Whether reading ended because there were no more, and not within one. */
static bool at_end(void)
{
	unsigned long error = ERR_peek_last_error();

	if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

static int use_certificate(SSL_CTX *ssl, BIO *bio, const char *password)
{
	X509 *one = PEM_read_bio_X509_AUX(bio, NULL, give_password, NULL);
	int ok = one != NULL && SSL_CTX_use_certificate(ssl, one) == 1;

	X509_free(one);
	while (ok && (one = PEM_read_bio_X509(bio, NULL, give_password, NULL)) != NULL) {
		ok = SSL_CTX_add1_chain_cert(ssl, one) == 1;
		X509_free(one);
	}
	return ok && at_end() ? 0 : refusal();
}

static int use_key(SSL_CTX *ssl, BIO *bio, const char *password)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_password, (void *)password);
	int ok = key != NULL && SSL_CTX_use_PrivateKey(ssl, key) == 1;

	/* One of another kind finds no certificate of its kind, which says less. */
	if (ok && SSL_CTX_check_private_key(ssl) != 1) {
		ok = 0;
		ERR_clear_error();
		ERR_raise(ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH);
	}
	EVP_PKEY_free(key);
	return ok ? 0 : refusal();
}

static int use_roots(SSL_CTX *ssl, BIO *bio, const char *password)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	int ok = 1, count = 0;
	X509 *one;

	while (ok && (one = PEM_read_bio_X509(bio, NULL, give_password, NULL)) != NULL) {
		/* A server tells clients whom it believes, so that they choose. */
		ok = X509_STORE_add_cert(store, one) == 1 && SSL_CTX_add_client_CA(ssl, one) == 1;
		X509_free(one);
		count++;
	}
	return ok && count > 0 && at_end() ? 0 : refusal();
}

/* Not the key exchange whose numbers the server chooses: as large as it likes, and the client computes
 * with them for seconds. The rest stays as the system has it. */
static int drop_dhe(SSL_CTX *ssl)
{
	STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ssl);
	size_t size = 1, at = 0;
	char *names;
	int rc;

	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
		size += strlen(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i))) + 1;
	names = anyio_malloc(size);
	if (names == NULL)
		return -ENOMEM;
	names[0] = '\0';
	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
		int exchange = SSL_CIPHER_get_kx_nid(cipher);

		/* Of TLS 1.3 it is none of the cipher's, and they are in a list of their own. */
		if (exchange == NID_kx_dhe || exchange == NID_kx_any)
			continue;
		at += (size_t)snprintf(names + at, size - at, "%s:", SSL_CIPHER_get_name(cipher));
	}
	rc = at == 0 || SSL_CTX_set_cipher_list(ssl, names) == 1 ? 0 : -ENOMEM;
	anyio_free(names);
	return rc;
}

static bool verifies(const struct anyio_tls_context_options *options)
{
	if (options->verify == ANYIO_TLS_VERIFY_DEFAULT)
		return !options->server;
	return options->verify != ANYIO_TLS_VERIFY_NONE;
}

static bool versions_fit(const struct anyio_tls_context_options *options)
{
	return (unsigned)options->min_version <= ANYIO_TLS_VERSION_1_3 &&
		(unsigned)options->max_version <= ANYIO_TLS_VERSION_1_3 &&
		(options->max_version == ANYIO_TLS_VERSION_DEFAULT ||
			options->max_version >= options->min_version);
}

/* How options contradict each other, or leave out what is needed; NULL: they do not. */
static const char *nonsense(const struct anyio_tls_context_options *options)
{
	bool own = pem_given(&options->certificate), key = pem_given(&options->key);

	if (options->server && !own)
		return "a server needs a certificate";
	if (own && !key)
		return "a certificate needs its key";
	if (key && !own)
		return "a key needs its certificate";
	if ((unsigned)options->verify > ANYIO_TLS_VERIFY_REQUIRED)
		return "there is no such way to verify";
	if (options->server && verifies(options) && !pem_given(&options->roots) &&
		!options->system_roots)
		return "a server that verifies needs roots";
	if (!options->server && options->verify == ANYIO_TLS_VERIFY_OPTIONAL)
		return "a client cannot verify optionally";
	return versions_fit(options) ? NULL
				     : "no version of TLS is from min_version to max_version";
}

/* The part of the options that is at work, for whoever asks what was wrong. */
struct part {
	const char *name; /* NULL: none of them */
	const char *file;
	const char *why; /* NULL: as OpenSSL or the code says */
};

static int part_use(struct part *part, const char *name, const struct anyio_tls_pem *pem,
	int (*use)(SSL_CTX *ssl, BIO *bio, const char *password), SSL_CTX *ssl,
	const char *password)
{
	if (!pem_given(pem))
		return 0;
	*part = (struct part){ .name = name, .file = pem->file };
	if (pem->file != NULL && pem->data != NULL)
		part->why = "both a file and data are given";
	return pem_use(pem, use, ssl, password);
}

static int load(SSL_CTX *ssl, const struct anyio_tls_context_options *options, struct part *part)
{
	bool roots = pem_given(&options->roots);
	int rc = part_use(part, "certificate", &options->certificate, use_certificate, ssl, NULL);

	if (rc == 0)
		rc = part_use(part, "key", &options->key, use_key, ssl, options->key_password);
	if (rc == 0)
		rc = part_use(part, "roots", &options->roots, use_roots, ssl, NULL);
	if (rc < 0)
		return rc;
	*part = (struct part){ .name = NULL };
	if ((options->system_roots || (!roots && verifies(options))) &&
		SSL_CTX_set_default_verify_paths(ssl) != 1) {
		part->name = "the system's roots";
		return refusal();
	}
	return 0;
}

static int number_of(enum anyio_tls_version version, int otherwise)
{
	switch (version) {
	case ANYIO_TLS_VERSION_1_2: return TLS1_2_VERSION;
	case ANYIO_TLS_VERSION_1_3: return TLS1_3_VERSION;
	default: return otherwise;
	}
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
	const unsigned char *theirs, unsigned theirs_size, void *arg)
{
	const struct anyio_tls_context *context = arg;
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_size, context->alpn, context->alpn_size, theirs,
		    theirs_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int set_alpn(struct anyio_tls_context *context, const char *const *names)
{
	size_t size = 0, at = 0;

	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		size_t length = strlen(names[i]);

		if (length == 0 || length > 255)
			return -EINVAL;
		size += length + 1;
	}
	if (size == 0)
		return 0;
	if (size > 65535)
		return -EINVAL;
	context->alpn = anyio_malloc(size);
	if (context->alpn == NULL)
		return -ENOMEM;
	for (size_t i = 0; names[i] != NULL; i++) {
		size_t length = strlen(names[i]);

		context->alpn[at++] = (unsigned char)length;
		memcpy(context->alpn + at, names[i], length);
		at += length;
	}
	context->alpn_size = (unsigned)size;
	if (context->server)
		SSL_CTX_set_alpn_select_cb(context->ssl, choose_alpn, context);
	else if (SSL_CTX_set_alpn_protos(context->ssl, context->alpn, context->alpn_size) != 0)
		return -ENOMEM;
	return 0;
}

static void set_modes(SSL_CTX *ssl, const struct anyio_tls_context_options *options)
{
	int verify = verifies(options) ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;

	if (options->verify == ANYIO_TLS_VERIFY_REQUIRED)
		verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ssl, verify, NULL);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A server keeps no sessions: its tickets hold all, so that memory is bounded. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	if (options->no_resumption) {
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ssl, 0);
	}
}

static int context_init(struct anyio_tls_context *context,
	const struct anyio_tls_context_options *options, struct part *part)
{
	static const unsigned char id[] = "anyio";
	int rc;

	part->why = nonsense(options);
	if (part->why != NULL)
		return -EINVAL;
	context->ssl = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
	context->bio = tls_bio_method();
	if (context->ssl == NULL || context->bio == NULL)
		return -ENOMEM;
	set_modes(context->ssl, options);
	rc = options->server ? 0 : drop_dhe(context->ssl);
	if (rc < 0)
		return rc;
	if (SSL_CTX_set_min_proto_version(
		    context->ssl, number_of(options->min_version, TLS1_2_VERSION)) != 1 ||
		SSL_CTX_set_max_proto_version(context->ssl, number_of(options->max_version, 0)) !=
			1 ||
		SSL_CTX_set_session_id_context(context->ssl, id, sizeof(id) - 1) != 1) {
		part->why = "OpenSSL speaks no such version here";
		return -EINVAL;
	}
	rc = load(context->ssl, options, part);
	if (rc < 0)
		return rc;
	rc = set_alpn(context, options->alpn);
	if (rc == -EINVAL)
		part->why = "a name of ALPN has 1 to 255 bytes, and all of them 65535";
	return rc;
}

static void say(const struct anyio_tls_context_options *options, const struct part *part, int rc)
{
	const char *why = part->why;

	if (options->reason == NULL || options->reason_size == 0)
		return;
	if (why == NULL && rc == -EBADMSG)
		why = ERR_reason_error_string(ERR_peek_last_error());
	if (why == NULL)
		why = anyio_error_text(rc);
	if (rc == 0)
		*options->reason = '\0';
	else if (part->name == NULL || rc == -ENOMEM)
		snprintf(options->reason, options->reason_size, "%s", why);
	else if (part->file == NULL)
		snprintf(options->reason, options->reason_size, "%s: %s", part->name, why);
	else
		snprintf(options->reason, options->reason_size, "%s %s: %s", part->name, part->file,
			why);
}

int anyio_tls_context_create(
	const struct anyio_tls_context_options *options, struct anyio_tls_context **out)
{
	struct anyio_tls_context *context = anyio_calloc(1, sizeof(*context));
	struct part part = { .name = NULL };
	int rc = -ENOMEM;

	*out = NULL;
	ERR_clear_error();
	if (context != NULL) {
		atomic_init(&context->references, 1);
		context->server = options->server;
		context->verifies = verifies(options);
		context->resumes = !options->no_resumption;
		rc = context_init(context, options, &part);
	}
	say(options, &part, rc);
	ERR_clear_error();
	if (rc < 0)
		anyio_tls_context_free(context);
	else
		*out = context;
	return rc;
}
