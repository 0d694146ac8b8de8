/* TLS: who is believed, what is agreed on, sessions, and the context's options. */
#include "secured.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* One handshake, by contexts and name, both of whose results are wanted. The streams are left. */
static void meet(struct secured *self, const struct identity *server,
	context_options server_options, context_options client_options, const char *name)
{
	if (client_options.server) { /* here: with no roots of ours */
		client_options.server = false;
		secure(self, context_make(client_options), server_make(server, server_options),
			(struct anyio_tls_options){ .server_name = name });
	} else {
		secure(self, client_make(client_options), server_make(server, server_options),
			(struct anyio_tls_options){ .server_name = name });
	}
	shake(self);
}

#define OPTIONS_OF(...) ((context_options){ __VA_ARGS__ })
#define NONE            OPTIONS_OF(.server = false)

/* What a client says of a server's certificate, and what the server hears of it. */
static void refuses(const struct identity *server, const char *name, long verdict, const char *text)
{
	struct secured self;
	char byte;

	meet(&self, server, NONE, NONE, name);
	CHECK_RC(self.client_rc, ANYIO_TLS_CERTIFICATE);
	CHECK_RC(anyio_tls_verify_result(self.client), verdict);
	CHECK(strcmp(anyio_tls_error_text(self.client), text) == 0);
	CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_TLS_CERTIFICATE);
	CHECK_RC(anyio_stream_send(self.client, "x", 1), ANYIO_TLS_CERTIFICATE);
	CHECK_RC(anyio_stream_receive(self.server, &byte, 1), ANYIO_TLS_FAILED);
	CHECK(strstr(anyio_tls_error_text(self.server), "alert") != NULL);
	secured_free(&self);
}

static int wrong_certificates_are_refused(void *arg)
{
	static unsigned runs;

	if (not_this_seed(&runs))
		return 0;
	refuses(&certificates.expired, "localhost", X509_V_ERR_CERT_HAS_EXPIRED,
		"certificate has expired");
	refuses(&certificates.not_yet, "localhost", X509_V_ERR_CERT_NOT_YET_VALID,
		"certificate is not yet valid");
	refuses(&certificates.elsewhere, "localhost", X509_V_ERR_HOSTNAME_MISMATCH,
		"hostname mismatch");
	refuses(&certificates.elsewhere, "127.0.0.1", X509_V_ERR_IP_ADDRESS_MISMATCH,
		"IP address mismatch");
	refuses(&certificates.server, "a.b.wild.test", X509_V_ERR_HOSTNAME_MISMATCH,
		"hostname mismatch");
	refuses(&certificates.server, "::2", X509_V_ERR_IP_ADDRESS_MISMATCH, "IP address mismatch");
	refuses(&certificates.stranger, "localhost", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
		"unable to get local issuer certificate");
	return 0;
}

static void accepts(const struct identity *server, const char *name, const char *told)
{
	struct secured self;
	char text[300] = "";

	meet(&self, server, NONE, NONE, name);
	CHECK_RC(self.client_rc, 0);
	CHECK_RC(self.server_rc, 0);
	CHECK_RC(anyio_tls_verify_result(self.client), 0);
	CHECK(anyio_tls_error_text(self.client) == NULL);
	CHECK_RC(anyio_stream_attribute(
			 self.server, ANYIO_ATTRIBUTE_TLS_SERVER_NAME, text, sizeof(text)),
		told == NULL ? -ENODATA : (ssize_t)strlen(told) + 1);
	CHECK(told == NULL || strcmp(text, told) == 0);
	pass(self.client, self.server, "hello");
	secured_free(&self);
}

static int right_certificates_are_accepted(void *arg)
{
	static unsigned runs;

	if (not_this_seed(&runs))
		return 0;
	accepts(&certificates.server, "localhost", "localhost");
	accepts(&certificates.server, "localhost.", "localhost");
	accepts(&certificates.server, "one.wild.test", "one.wild.test");
	/* An address is checked, and not told: RFC 6066, section 3. */
	accepts(&certificates.server, "127.0.0.1", NULL);
	accepts(&certificates.server, "::1", NULL);
	accepts(&certificates.rsa, "localhost", "localhost");
	return 0;
}

static int verifying_may_be_given_up(void *arg)
{
	static unsigned runs;
	struct secured self;

	if (not_this_seed(&runs))
		return 0;
	/* Not even by the system's store. */
	meet(&self, &certificates.server, NONE, OPTIONS_OF(.server = true), "localhost");
	CHECK_RC(self.client_rc, ANYIO_TLS_CERTIFICATE);
	secured_free(&self);
	meet(&self, &certificates.stranger, NONE,
		OPTIONS_OF(.server = true, .verify = ANYIO_TLS_VERIFY_NONE), "localhost");
	CHECK_RC(self.client_rc, 0);
	CHECK(anyio_tls_verify_result(self.client) != 0);
	secured_free(&self);
	/* The issuer, but any name; the other is told whom is asked for. */
	secure(&self, client_make(NONE), server_make(&certificates.elsewhere, NONE),
		(struct anyio_tls_options){ .server_name = "localhost", .any_name = true });
	shake(&self);
	CHECK_RC(self.client_rc, 0);
	CHECK_RC(anyio_stream_attribute(self.server, ANYIO_ATTRIBUTE_TLS_SERVER_NAME, NULL, 0), 10);
	secured_free(&self);
	secure(&self, client_make(NONE), server_make(&certificates.stranger, NONE),
		(struct anyio_tls_options){ .any_name = true });
	shake(&self);
	CHECK_RC(self.client_rc, ANYIO_TLS_CERTIFICATE);
	secured_free(&self);
	return 0;
}

static int attributes_tell_what_was_agreed(void *arg)
{
	struct secured self;
	unsigned char der[4096], *own = NULL;
	char text[64];
	bool server = false;
	int size = i2d_X509(certificates.server.x509, &own);

	secure(&self, client_make(NONE), server_make(&certificates.server, NONE),
		(struct anyio_tls_options){ .server_name = "localhost" });
	CHECK_RC(anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_VERSION, text, 64),
		-ENODATA);
	shake(&self);
	CHECK_RC(anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_VERSION, text, 64), 8);
	CHECK(strcmp(text, "TLSv1.3") == 0);
	CHECK_RC(
		anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_VERSION, text, 7), -ENOSPC);
	CHECK(anyio_stream_attribute(self.server, ANYIO_ATTRIBUTE_TLS_CIPHER, text, 64) > 8);
	CHECK(strncmp(text, "TLS_", 4) == 0);
	CHECK_RC(anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_ALPN, text, 64), -ENODATA);
	CHECK_RC(anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, NULL, 0),
		size);
	CHECK_RC(anyio_stream_attribute(
			 self.client, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, der, (size_t)size - 1),
		-ENOSPC);
	CHECK_RC(anyio_stream_attribute(
			 self.client, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, der, sizeof(der)),
		size);
	CHECK(memcmp(der, own, (size_t)size) == 0);
	CHECK_RC(anyio_stream_attribute(self.server, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, NULL, 0),
		-ENODATA);
	CHECK_RC(anyio_stream_attribute(self.server, ANYIO_ATTRIBUTE_TLS_SERVER_SIDE, &server, 1),
		1);
	CHECK(server);
	CHECK(anyio_tls_transport(self.server) == self.raw[1]);
	OPENSSL_free(own);
	secured_free(&self);
	return 0;
}

/* Others are asked of the transport. */
static int addresses_are_seen_through(void *arg)
{
	struct secured self;
	struct anyio_address address;

	connect_pair(self.raw);
	secure_over(&self, client_make(NONE), server_make(&certificates.server, NONE),
		(struct anyio_tls_options){ .server_name = "127.0.0.1" });
	CHECK_RC(anyio_stream_remote_address(self.client, &address), 0);
	CHECK(address.ip4.sin_port != 0);
	shake(&self);
	pass(self.client, self.server, "over TCP");
	pass(self.server, self.client, "and back");
	secured_free(&self);
	return 0;
}

static void agree(const char *const *client, const char *const *server, int rc, const char *agreed)
{
	struct secured self;
	char text[256] = "";

	meet(&self, &certificates.server, OPTIONS_OF(.alpn = server), OPTIONS_OF(.alpn = client),
		"localhost");
	CHECK_RC(self.server_rc, rc);
	CHECK_RC(self.client_rc, rc);
	if (rc == 0) {
		CHECK_RC(anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_ALPN, text, 256),
			agreed == NULL ? -ENODATA : (ssize_t)strlen(agreed) + 1);
		CHECK(agreed == NULL || strcmp(text, agreed) == 0);
		CHECK_RC(anyio_stream_attribute(self.server, ANYIO_ATTRIBUTE_TLS_ALPN, text, 256),
			agreed == NULL ? -ENODATA : (ssize_t)strlen(agreed) + 1);
	} else {
		CHECK(strstr(anyio_tls_error_text(self.client), "no application protocol"));
	}
	secured_free(&self);
}

static int alpn_agreed_none_and_mismatch(void *arg)
{
	static unsigned runs;
	static const char
		*const web[] = { "h2", "http/1.1", NULL },
		       *const old[] = { "http/1.1", NULL }, *const other[] = { "ipfs", NULL },
		       *const reverse[] = { "http/1.1", "h2", NULL }, *const none[] = { NULL };

	if (not_this_seed(&runs))
		return 0;
	agree(web, web, 0, "h2");
	agree(reverse, web, 0, "h2"); /* the server's preference */
	agree(web, old, 0, "http/1.1");
	agree(web, NULL, 0, NULL);
	agree(NULL, web, 0, NULL);
	agree(none, none, 0, NULL);
	agree(other, web, ANYIO_TLS_FAILED, NULL);
	return 0;
}

static void with_client(const struct identity *client, enum anyio_tls_verify verify,
	enum anyio_tls_version version, int server_rc, long verdict)
{
	struct secured self;
	context_options own = { .max_version = version };
	char byte;

	if (client != NULL) {
		own.certificate = pem_of(client->chain);
		own.key = pem_of(client->key);
	}
	meet(&self, &certificates.server,
		OPTIONS_OF(.verify = verify, .roots = pem_of(certificates.root.chain)), own,
		"localhost");
	CHECK_RC(self.server_rc, server_rc);
	CHECK_RC(anyio_tls_verify_result(self.server), verdict);
	if (server_rc == 0) {
		CHECK_RC(self.client_rc, 0);
		CHECK((anyio_stream_attribute(self.server, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, NULL,
			       0) > 0) == (client != NULL));
		pass(self.client, self.server, "hello");
		pass(self.server, self.client, "you");
	} else {
		/* With TLS 1.3 a client hears of it when it receives. */
		CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_TLS_FAILED);
		CHECK(strstr(anyio_tls_error_text(self.client), "alert") != NULL);
	}
	secured_free(&self);
}

static int client_certificates(void *arg)
{
	static unsigned runs;
	const struct identity *client = &certificates.client, *stranger = &certificates.stranger;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		with_client(client, ANYIO_TLS_VERIFY_REQUIRED, v, 0, 0);
		with_client(client, ANYIO_TLS_VERIFY_OPTIONAL, v, 0, 0);
		with_client(NULL, ANYIO_TLS_VERIFY_OPTIONAL, v, 0, 0);
		with_client(NULL, ANYIO_TLS_VERIFY_DEFAULT, v, 0, 0);
		with_client(NULL, ANYIO_TLS_VERIFY_REQUIRED, v, ANYIO_TLS_FAILED, 0);
		with_client(stranger, ANYIO_TLS_VERIFY_REQUIRED, v, ANYIO_TLS_CERTIFICATE,
			X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
		with_client(stranger, ANYIO_TLS_VERIFY_OPTIONAL, v, ANYIO_TLS_CERTIFICATE,
			X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	}
	return 0;
}

static int versions_are_kept_to(void *arg)
{
	static unsigned runs;
	struct secured self;
	char text[16];

	if (not_this_seed(&runs))
		return 0;
	meet(&self, &certificates.server, OPTIONS_OF(.max_version = ANYIO_TLS_VERSION_1_2), NONE,
		"localhost");
	CHECK_RC(anyio_stream_attribute(self.client, ANYIO_ATTRIBUTE_TLS_VERSION, text, 16), 8);
	CHECK(strcmp(text, "TLSv1.2") == 0);
	CHECK_RC(anyio_tls_key_update(self.client, true), -EOPNOTSUPP);
	secured_free(&self);
	meet(&self, &certificates.server, OPTIONS_OF(.min_version = ANYIO_TLS_VERSION_1_3),
		OPTIONS_OF(.max_version = ANYIO_TLS_VERSION_1_2), "localhost");
	CHECK_RC(self.server_rc, ANYIO_TLS_FAILED);
	CHECK(strcmp(anyio_tls_error_text(self.server), "unsupported protocol") == 0);
	CHECK_RC(self.client_rc, ANYIO_TLS_FAILED);
	CHECK_RC(anyio_tls_key_update(self.client, true), ANYIO_TLS_FAILED);
	secured_free(&self);
	return 0;
}

/* Two contexts, and what was taken from a first connection between them. */
struct twice {
	struct anyio_tls_context *client, *server;
	struct anyio_tls_session *session;
};

static void connect_once(struct twice *self, struct secured *pair, struct anyio_tls_options options)
{
	CHECK_RC(anyio_stream_pair(0, pair->raw), 0);
	secure_kept(pair, self->client, self->server, options);
	shake(pair);
}

static void begin(struct twice *self, context_options server, context_options client)
{
	struct secured pair;

	self->client = client_make(client);
	self->server = server_make(&certificates.server, server);
	connect_once(self, &pair, (struct anyio_tls_options){ .server_name = "localhost" });
	CHECK_RC(pair.client_rc, 0);
	CHECK(!anyio_tls_session_reused(pair.client));
	/* Tickets come before the server's first bytes. */
	pass(pair.server, pair.client, "ticket");
	self->session = anyio_tls_session_get(pair.client);
	CHECK(anyio_tls_session_get(pair.server) == NULL);
	secured_free(&pair);
}

static void end(struct twice *self)
{
	anyio_tls_session_free(self->session);
	anyio_tls_context_free(self->client);
	anyio_tls_context_free(self->server);
}

static bool again(struct twice *self, const char *name, int rc)
{
	struct secured pair;
	bool reused;

	connect_once(self, &pair,
		(struct anyio_tls_options){ .server_name = name, .session = self->session });
	CHECK_RC(pair.client_rc, rc);
	if (rc == 0) {
		pass(pair.client, pair.server, "again");
		CHECK(anyio_tls_session_reused(pair.server) ==
			anyio_tls_session_reused(pair.client));
		CHECK_RC(anyio_tls_verify_result(pair.client), 0);
	}
	reused = anyio_tls_session_reused(pair.client);
	secured_free(&pair);
	return reused;
}

static int sessions_are_taken_up_again(void *arg)
{
	static unsigned runs;
	struct twice self;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		begin(&self, NONE, OPTIONS_OF(.max_version = v));
		CHECK(self.session != NULL);
		CHECK(again(&self, "localhost", 0));
		end(&self);
	}
	return 0;
}

/* Its verdict was about another name: of this server a true one, of another a lie. */
static int session_does_not_stand_for_another_name(void *arg)
{
	static unsigned runs;
	struct twice self;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		begin(&self, NONE, OPTIONS_OF(.max_version = v));
		CHECK(again(&self, "one.wild.test", 0));
		CHECK(!again(&self, "elsewhere.test", ANYIO_TLS_CERTIFICATE));
		end(&self);
	}
	return 0;
}

static int sessions_may_be_off(void *arg)
{
	static unsigned runs;
	struct twice self;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		begin(&self, OPTIONS_OF(.no_resumption = true), OPTIONS_OF(.max_version = v));
		CHECK(self.session == NULL);
		end(&self);
		begin(&self, NONE, OPTIONS_OF(.max_version = v, .no_resumption = true));
		CHECK(self.session == NULL);
		end(&self);
	}
	return 0;
}

/* A client's certificate is in its session, and the server still knows it. */
static int session_keeps_the_clients_certificate(void *arg)
{
	struct twice self;
	struct secured pair;

	begin(&self,
		OPTIONS_OF(.verify = ANYIO_TLS_VERIFY_REQUIRED,
			.roots = pem_of(certificates.root.chain)),
		OPTIONS_OF(.certificate = pem_of(certificates.client.chain),
			.key = pem_of(certificates.client.key)));
	connect_once(&self, &pair,
		(struct anyio_tls_options){ .server_name = "localhost", .session = self.session });
	CHECK_RC(pair.server_rc, 0);
	CHECK(anyio_tls_session_reused(pair.server));
	CHECK(anyio_stream_attribute(pair.server, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, NULL, 0) > 0);
	secured_free(&pair);
	end(&self);
	return 0;
}

static void wrap_fails(struct anyio_tls_context *context, struct anyio_tls_options options)
{
	struct anyio_stream *ends[2], *stream;

	CHECK_RC(anyio_stream_pair(0, ends), 0);
	CHECK_RC(anyio_tls_wrap(ends[0], context, &options, &stream), -EINVAL);
	CHECK(stream == NULL);
	/* It is still the caller's. */
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), 0);
	pair_free(ends);
}

static int wrap_wants_sense(void *arg)
{
	struct anyio_tls_context *client = client_make(NONE);
	struct anyio_tls_context *server = server_make(&certificates.server, NONE);
	struct twice self;
	char name[300];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	begin(&self, NONE, NONE);
	wrap_fails(client, (struct anyio_tls_options){ .server_name = NULL });
	wrap_fails(client, (struct anyio_tls_options){ .server_name = "" });
	wrap_fails(client, (struct anyio_tls_options){ .server_name = name });
	/* To OpenSSL it would be every name below that. */
	wrap_fails(client, (struct anyio_tls_options){ .server_name = ".test" });
	wrap_fails(client, (struct anyio_tls_options){ .server_name = "." });
	wrap_fails(client,
		(struct anyio_tls_options){ .server_name = "localhost", .session = self.session });
	wrap_fails(server, (struct anyio_tls_options){ .server_name = "localhost" });
	wrap_fails(server, (struct anyio_tls_options){ .session = self.session });
	end(&self);
	anyio_tls_context_free(client);
	anyio_tls_context_free(server);
	return 0;
}

/* why is how the reason begins: OpenSSL's own words are its. */
static void context_fails(context_options options, int rc, const char *why)
{
	struct anyio_tls_context *context;
	char reason[256] = "";

	options.reason = reason;
	options.reason_size = sizeof(reason);
	CHECK_RC(anyio_tls_context_create(&options, &context), rc);
	CHECK(context == NULL);
	if (strncmp(reason, why, strlen(why)) != 0)
		conformance_fail(__FILE__, __LINE__, "\"%s\", not \"%s\"", reason, why);
}

static int contexts_want_sense(void *arg)
{
	static unsigned runs;
	static const char *const empty[] = { "", NULL };
	struct anyio_tls_pem chain = pem_of(certificates.server.chain);
	struct anyio_tls_pem key = pem_of(certificates.server.key), garbage = pem_of("garbage");
	struct anyio_tls_pem cut = chain;

	if (not_this_seed(&runs))
		return 0;
	cut.size -= 100;
	context_fails(OPTIONS_OF(.server = true), -EINVAL, "a server needs a certificate");
	context_fails(OPTIONS_OF(.certificate = chain), -EINVAL, "a certificate needs its key");
	context_fails(OPTIONS_OF(.key = key), -EINVAL, "a key needs its certificate");
	context_fails(OPTIONS_OF(.server = true, .certificate = chain, .key = key,
			      .verify = ANYIO_TLS_VERIFY_REQUIRED),
		-EINVAL, "a server that verifies needs roots");
	context_fails(OPTIONS_OF(.verify = ANYIO_TLS_VERIFY_OPTIONAL), -EINVAL,
		"a client cannot verify optionally");
	context_fails(OPTIONS_OF(.verify = (enum anyio_tls_verify)77), -EINVAL,
		"there is no such way to verify");
	context_fails(OPTIONS_OF(.min_version = ANYIO_TLS_VERSION_1_3,
			      .max_version = ANYIO_TLS_VERSION_1_2),
		-EINVAL, "no version of TLS is from min_version to max_version");
	context_fails(OPTIONS_OF(.alpn = empty), -EINVAL,
		"a name of ALPN has 1 to 255 bytes, and all of them 65535");
	context_fails(OPTIONS_OF(.certificate = garbage, .key = key), -EBADMSG,
		"certificate: no start line");
	context_fails(OPTIONS_OF(.certificate = chain, .key = garbage), -EBADMSG, "key: ");
	context_fails(OPTIONS_OF(.certificate = cut, .key = key), -EBADMSG, "certificate: ");
	context_fails(OPTIONS_OF(.certificate = chain, .key = pem_of(certificates.rsa.key)),
		-EBADMSG, "key: key values mismatch");
	context_fails(OPTIONS_OF(.roots = garbage), -EBADMSG, "roots: no start line");
	context_fails(OPTIONS_OF(.roots = pem_of("")), -EBADMSG, "roots: no start line");
	context_fails(OPTIONS_OF(.roots = { .file = "/nonexistent" }), -ENOENT,
		"roots /nonexistent: No such file or directory");
	context_fails(OPTIONS_OF(.certificate = chain, .key = { .file = "/nonexistent" }), -ENOENT,
		"key /nonexistent: No such file or directory");
	context_fails(OPTIONS_OF(.roots = { .file = "/tmp" }), ANYIO_NOT_A_FILE,
		"roots /tmp: a link, a folder, a pipe or a device stands where a file should be");
	context_fails(OPTIONS_OF(.roots = { .file = "/dev/zero" }), ANYIO_NOT_A_FILE,
		"roots /dev/zero: a link, a folder, a pipe or a device stands where a file should be");
	context_fails(OPTIONS_OF(.roots = { .file = "/tmp", .data = "x", .size = 1 }), -EINVAL,
		"roots /tmp: both a file and data are given");
	context_fails(OPTIONS_OF(.roots = { .data = "x", .size = 1 << 30 }), -EFBIG,
		"roots: File too large");
	return 0;
}

/* Everything from files, and a key under a password, which no terminal is asked for. */
static int contexts_from_files(void *arg)
{
	struct anyio_tls_context *client, *server;
	char folder[] = "/tmp/anyio-tls-XXXXXX", chain[64], key[64], root[64], why[128];
	BIO *bio = BIO_new(BIO_s_mem());
	struct secured self;
	char locked[4096];
	int size;

	CHECK(mkdtemp(folder) != NULL);
	PEM_write_bio_PKCS8PrivateKey(
		bio, certificates.server.pkey, EVP_aes_128_cbc(), "open", 4, NULL, NULL);
	size = BIO_read(bio, locked, sizeof(locked) - 1);
	CHECK(size > 0);
	locked[size] = '\0';
	BIO_free(bio);
	pem_write(folder, "chain", certificates.server.chain);
	pem_write(folder, "key", locked);
	pem_write(folder, "root", certificates.root.chain);
	snprintf(chain, sizeof(chain), "%s/chain", folder);
	snprintf(key, sizeof(key), "%s/key", folder);
	snprintf(root, sizeof(root), "%s/root", folder);
	snprintf(why, sizeof(why), "key %s: bad password read", key);
	context_fails(OPTIONS_OF(.certificate = { .file = chain }, .key = { .file = key }),
		-EBADMSG, why);
	snprintf(why, sizeof(why), "key %s: ", key);
	context_fails(OPTIONS_OF(.certificate = { .file = chain }, .key = { .file = key },
			      .key_password = "shut"),
		-EBADMSG, why);
	server = context_make(OPTIONS_OF(.server = true, .certificate = { .file = chain },
		.key = { .file = key }, .key_password = "open"));
	client = context_make(OPTIONS_OF(.roots = { .file = root }, .system_roots = true));
	secure(&self, client, server, (struct anyio_tls_options){ .server_name = "localhost" });
	shake(&self);
	CHECK_RC(self.client_rc, 0);
	pass(self.client, self.server, "hello");
	secured_free(&self);
	unlink(chain);
	unlink(key);
	unlink(root);
	CHECK_RC(rmdir(folder), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(wrong_certificates_are_refused, CONFORM_MOCK),
		CONFORM(right_certificates_are_accepted, CONFORM_MOCK),
		CONFORM(verifying_may_be_given_up, CONFORM_MOCK),
		CONFORM(attributes_tell_what_was_agreed, CONFORM_MOCK),
		CONFORM(addresses_are_seen_through, 0),
		CONFORM(alpn_agreed_none_and_mismatch, CONFORM_MOCK),
		CONFORM(client_certificates, CONFORM_MOCK),
		CONFORM(versions_are_kept_to, CONFORM_MOCK),
		CONFORM(sessions_are_taken_up_again, CONFORM_MOCK),
		CONFORM(session_does_not_stand_for_another_name, CONFORM_MOCK),
		CONFORM(sessions_may_be_off, CONFORM_MOCK),
		CONFORM(session_keeps_the_clients_certificate, CONFORM_MOCK),
		CONFORM(wrap_wants_sense, CONFORM_MOCK),
		CONFORM(contexts_want_sense, CONFORM_MOCK),
		CONFORM(contexts_from_files, CONFORM_MOCK),
	};
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
