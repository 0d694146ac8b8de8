/* TLS with others: the openssl program and node, each as server and as client, children of this
 * process. Where one is not installed, its tests say so and do nothing. */
#include "processes.h"
#include "secured.h"

/* The PEM files that children are given. */
static struct folder folder;

static const char *file_of(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder.folder, name);
	return path;
}

/* A child, and what it has written so far. */
struct peer {
	struct anyio_process *process;
	char text[65536];
	size_t size;
};

static bool peer_open(struct peer *self, char *const argv[])
{
	struct anyio_process_options options = {
		.in = PIPE, .out = PIPE, .err = { ANYIO_STDIO_OUT }, .grace = -1
	};
	int rc = anyio_process_open(argv, &options, &self->process);

	self->size = 0;
	self->text[0] = '\0';
	if (rc == -ENOENT) {
		fprintf(stderr, "skips: there is no %s\n", argv[0]);
		CHECK(getenv("KIT_REQUIRE_ALL") == NULL);
		return false;
	}
	CHECK_RC(rc, 0);
	return rc == 0;
}

/* Where it wrote this; NULL when it ended without. */
static const char *peer_await(struct peer *self, const char *what)
{
	ssize_t n = 1;

	while (strstr(self->text, what) == NULL && n > 0) {
		n = anyio_stream_receive(anyio_process_out(self->process), self->text + self->size,
			sizeof(self->text) - 1 - self->size);
		self->size += n > 0 ? (size_t)n : 0;
		self->text[self->size] = '\0';
	}
	if (n <= 0)
		conformance_fail(__FILE__, __LINE__, "no \"%s\" in:\n%s", what, self->text);
	return strstr(self->text, what);
}

static void peer_tell(struct peer *self, const char *text)
{
	CHECK_RC(anyio_stream_send(anyio_process_in(self->process), text, strlen(text)), 0);
}

static int peer_end(struct peer *self)
{
	int code = -1000;

	anyio_stream_send_eof(anyio_process_in(self->process));
	CHECK_RC(anyio_process_wait(self->process, &code), 0);
	CHECK_RC(anyio_process_close(self->process), 0);
	return code;
}

static uint16_t port_after(const char *at)
{
	while (at != NULL && *at != '\0' && *at != ':')
		at++;
	return at == NULL ? 0 : (uint16_t)atoi(at + 1);
}

static const char *const protocols[] = { "one", "two", NULL };

static struct anyio_tls_context *client_for(enum anyio_tls_version version, bool certificate)
{
	context_options options = { .max_version = version, .alpn = protocols };

	if (certificate) {
		options.certificate = pem_of(certificates.client.chain);
		options.key = pem_of(certificates.client.key);
	}
	return client_make(options);
}

static struct anyio_tls_context *server_for(
	const struct identity *identity, enum anyio_tls_version version)
{
	return server_make(identity,
		(context_options){ .max_version = version,
			.alpn = protocols,
			.verify = ANYIO_TLS_VERIFY_REQUIRED,
			.roots = pem_of(certificates.root.chain) });
}

static void agreed(struct anyio_stream *stream, enum anyio_attribute which, const char *text)
{
	char got[256] = "";

	CHECK_RC(
		anyio_stream_attribute(stream, which, got, sizeof(got)), (ssize_t)strlen(text) + 1);
	CHECK(strcmp(got, text) == 0);
}

static const char *name_of(enum anyio_tls_version version)
{
	return version == ANYIO_TLS_VERSION_1_2 ? "TLSv1.2" : "TLSv1.3";
}

static void unwrap_and_free(struct anyio_stream *stream)
{
	struct anyio_stream *raw;
	uint8_t *left;
	size_t size;

	CHECK_RC(anyio_tls_unwrap(stream, &raw, &left, &size), 0);
	CHECK_RC(size, 0);
	anyio_stream_free(raw);
	anyio_stream_free(stream);
}

/* s_server -rev answers each line backwards. */
static void ask_openssl(uint16_t port, enum anyio_tls_version version, bool certificate)
{
	struct anyio_tls_context *context = client_for(version, certificate);
	const char *reason = NULL;
	struct anyio_tls_options options = { .reason = &reason };
	struct anyio_stream *stream;
	int rc = anyio_tls_connect("localhost", port, context, &options, &stream);
	char byte;

	anyio_tls_context_free(context);
	if (!certificate) {
		/* With TLS 1.3 it is heard only now. */
		if (rc == 0)
			rc = (int)anyio_stream_receive(stream, &byte, 1);
		CHECK_RC(rc, ANYIO_TLS_FAILED);
		anyio_stream_free(stream);
		return;
	}
	CHECK_RC(rc, 0);
	if (rc < 0) {
		conformance_fail(__FILE__, __LINE__, "%s", reason);
		return;
	}
	agreed(stream, ANYIO_ATTRIBUTE_TLS_VERSION, name_of(version));
	agreed(stream, ANYIO_ATTRIBUTE_TLS_ALPN, "two");
	CHECK_RC(anyio_stream_send(stream, "hello\n", 6), 0);
	expect(stream, "olleh\n");
	if (version == ANYIO_TLS_VERSION_1_3)
		CHECK_RC(anyio_tls_key_update(stream, true), 0);
	CHECK_RC(anyio_stream_send(stream, "again\n", 6), 0);
	expect(stream, "niaga\n");
	unwrap_and_free(stream);
}

static int openssl_as_server(void *arg)
{
	char *const argv[] = { "openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert",
		(char *)file_of("server"), "-cert_chain", (char *)file_of("server"), "-key",
		(char *)file_of("server.key"), "-CAfile", (char *)file_of("root"), "-Verify", "1",
		"-verify_return_error", "-alpn", "two,one", NULL };
	static struct peer peer;
	uint16_t port;

	if (!peer_open(&peer, argv))
		return 0;
	peer_await(&peer, "ACCEPT");
	port = port_after(
		strchr(peer_await(&peer, "\n"), '\0') - strlen(strstr(peer.text, "ACCEPT")));
	CHECK(port != 0);
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		ask_openssl(port, v, true);
		ask_openssl(port, v, false);
	}
	anyio_process_kill(peer.process);
	peer_end(&peer);
	return 0;
}

/* Answers each line with itself, until the other side ends. */
static int echo(struct anyio_stream *stream)
{
	static char buffer[100000];
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = anyio_stream_receive(stream, buffer, sizeof(buffer))) > 0)
		rc = anyio_stream_send(stream, buffer, (size_t)n);
	return rc < 0 ? rc : (int)n;
}

/* A service of ours, and how its clients ended. */
struct service {
	struct anyio_listener *listener;
	struct anyio_tls_context *context;
	struct anyio_event served; /* one came to its end, or was refused */
	int ended, refused;
	char version[16], alpn[16], name[64];
	ssize_t certificate;
};

static int serve_client(struct anyio_stream *stream, void *arg)
{
	struct service *self = arg;

	anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_TLS_VERSION, self->version, 16);
	anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_TLS_ALPN, self->alpn, 16);
	anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_TLS_SERVER_NAME, self->name, 64);
	self->certificate =
		anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, NULL, 0);
	self->ended = echo(stream);
	if (self->ended == 0)
		CHECK_RC(anyio_stream_send_eof(stream), 0);
	anyio_stream_free(stream);
	anyio_event_set(&self->served);
	return 0;
}

static void serve_refused(void *arg, const struct anyio_task_error *error)
{
	struct service *self = arg;

	self->refused = error->code;
	anyio_event_set(&self->served);
}

static int serve(void *arg)
{
	struct service *self = arg;
	const struct anyio_serve_options options = { .failed = serve_refused };

	return anyio_tls_serve(
		&self->listener, 1, self->context, NULL, serve_client, self, NULL, &options);
}

static uint16_t service_start(
	struct service *self, struct anyio_task_group *group, struct anyio_tls_context *context)
{
	struct anyio_address address;

	*self = (struct service){ .listener = listen_local(&address), .context = context };
	self->ended = self->refused = 1;
	anyio_event_init(&self->served);
	anyio_task_group_enter(group);
	spawn(group, serve, self, NULL);
	return ntohs(address.ip4.sin_port);
}

static void service_end(struct service *self, struct anyio_task_group *group)
{
	anyio_event_wait(&self->served);
	anyio_task_group_cancel(group, "end");
	CHECK_RC(anyio_task_group_exit(group, 0), 0);
	anyio_listener_free(self->listener);
	anyio_tls_context_free(self->context);
}

enum how { WELL, RENEGOTIATING, WITHOUT_CERTIFICATE, BELIEVING_OTHERS };

static void openssl_comes(enum anyio_tls_version version, enum how how)
{
	static struct peer peer;
	struct service service;
	struct anyio_task_group group;
	char where[32];
	char *argv[32] = { "openssl", "s_client", "-connect", where, "-servername", "localhost",
		"-verify_hostname", "localhost", "-verify_return_error", "-alpn", "nix,two",
		"-CAfile", (char *)file_of(how == BELIEVING_OTHERS ? "other" : "root") };
	int count = 13, code;

	if (how != WITHOUT_CERTIFICATE) {
		argv[count++] = "-cert";
		argv[count++] = (char *)file_of("client");
		argv[count++] = "-key";
		argv[count++] = (char *)file_of("client.key");
	}
	snprintf(where, sizeof(where), "127.0.0.1:%u",
		service_start(&service, &group, server_for(&certificates.server, version)));
	if (peer_open(&peer, argv)) {
		if (how == WELL) {
			/* At the beginning of a line K asks for new keys, on both sides. */
			peer_tell(&peer, version == ANYIO_TLS_VERSION_1_3 ? "K\n" : "first\n");
			peer_await(&peer, version == ANYIO_TLS_VERSION_1_3 ? "KEYUPDATE" : "first");
			peer_tell(&peer, "echo of this\n");
			peer_await(&peer, "echo of this");
			/* And Q ends, with a close_notify. */
			peer_tell(&peer, "Q\n");
		} else if (how == RENEGOTIATING) {
			peer_tell(&peer, "first\n");
			peer_await(&peer, "first");
			peer_tell(&peer, "R\n");
			peer_await(&peer, "no renegotiation");
		} else if (how == WITHOUT_CERTIFICATE) {
			/* Which it hears of late, and not at all once its input has ended. */
			peer_await(&peer, "alert");
		}
		code = peer_end(&peer);
		CHECK(how == WELL ? code == 0 : code != 0);
	} else {
		anyio_event_set(&service.served);
		how = -1;
	}
	service_end(&service, &group);
	if (how == WELL) {
		CHECK_RC(service.ended, 0);
		CHECK(strcmp(service.version, name_of(version)) == 0);
		CHECK(strcmp(service.alpn, "two") == 0 && strcmp(service.name, "localhost") == 0);
		CHECK(service.certificate > 100);
	} else if (how == WITHOUT_CERTIFICATE) {
		CHECK_RC(service.refused, ANYIO_TLS_FAILED);
	} else if (how == BELIEVING_OTHERS) {
		CHECK(service.refused < 0 || service.ended < 0);
	}
}

static int openssl_as_client(void *arg)
{
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		openssl_comes(v, WELL);
		openssl_comes(v, WITHOUT_CERTIFICATE);
		openssl_comes(v, BELIEVING_OTHERS);
	}
	openssl_comes(ANYIO_TLS_VERSION_1_2, RENEGOTIATING);
	return 0;
}

static const char node_server[] =
	"const tls = require('tls'), fs = require('fs'), d = process.argv[1] + '/';"
	"const f = n => fs.readFileSync(d + n);"
	"const s = tls.createServer({ key: f('server.key'), cert: f('server'), ca: f('root'),"
	"  requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['two', 'one'] },"
	"  c => { c.on('error', () => {}); c.pipe(c); });"
	"s.on('tlsClientError', () => {});"
	"s.listen(0, '127.0.0.1', () => console.log('at:' + s.address().port + '.'));";

static int bulk_send(void *arg)
{
	static uint8_t data[1 << 20];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 >> 4);
	CHECK_RC(anyio_stream_send(arg, data, sizeof(data)), 0);
	CHECK_RC(anyio_stream_send_eof(arg), 0);
	return 0;
}

/* A mebibyte there and back, sent and received at once. */
static void bulk(struct anyio_stream *stream)
{
	struct anyio_task_group group;
	uint8_t data[4096];
	size_t total = 0;
	ssize_t n;

	anyio_task_group_enter(&group);
	spawn(&group, bulk_send, stream, NULL);
	while ((n = anyio_stream_receive(stream, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < n; i++, total++)
			CHECK_RC(data[i], (uint8_t)(total * 13 >> 4));
	CHECK_RC(n, 0);
	CHECK_RC(total, 1 << 20);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

static int node_as_server(void *arg)
{
	char *const argv[] = { "node", "-e", (char *)node_server, folder.folder, NULL };
	static struct peer peer;
	uint16_t port;

	if (!peer_open(&peer, argv))
		return 0;
	peer_await(&peer, ".\n");
	port = port_after(peer_await(&peer, "at:"));
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		for (int certificate = 0; certificate < 2; certificate++) {
			struct anyio_tls_context *context = client_for(v, certificate);
			struct anyio_stream *stream;
			char byte;
			int rc = anyio_tls_connect("localhost", port, context, NULL, &stream);

			anyio_tls_context_free(context);
			if (certificate) {
				CHECK_RC(rc, 0);
				agreed(stream, ANYIO_ATTRIBUTE_TLS_VERSION, name_of(v));
				agreed(stream, ANYIO_ATTRIBUTE_TLS_ALPN, "two");
				bulk(stream);
			} else {
				if (rc == 0)
					rc = (int)anyio_stream_receive(stream, &byte, 1);
				CHECK(rc == ANYIO_TLS_FAILED || rc == ANYIO_BROKEN);
			}
			anyio_stream_free(stream);
		}
	}
	anyio_process_kill(peer.process);
	peer_end(&peer);
	return 0;
}

static const char node_client[] =
	"const tls = require('tls'), fs = require('fs'), [d, port, max, cert] = process.argv.slice(1);"
	"const f = n => fs.readFileSync(d + '/' + n), big = Buffer.alloc(300000, 'abcdefg');"
	"const o = { port: +port, host: '127.0.0.1', servername: 'localhost', ca: f('root'),"
	"  ALPNProtocols: ['nix', 'two'], maxVersion: max };"
	"if (cert) { o.cert = f('client'); o.key = f('client.key'); }"
	"const c = tls.connect(o, () => c.end(big)), got = [];"
	"c.on('data', x => got.push(x));"
	"c.on('error', e => { console.log('error ' + e.code); process.exit(1); });"
	"c.on('end', () => { const ok = Buffer.concat(got).equals(big) && c.authorized;"
	"  console.log(ok ? 'well' : 'ill', c.getProtocol(), c.alpnProtocol); process.exit(0); });";

static void node_comes(enum anyio_tls_version version, const char *certificate)
{
	static struct peer peer;
	struct service service;
	struct anyio_task_group group;
	char port[16];
	char *const argv[] = { "node", "-e", (char *)node_client, folder.folder, port,
		(char *)name_of(version), (char *)certificate, NULL };
	bool came;

	snprintf(port, sizeof(port), "%u",
		service_start(&service, &group, server_for(&certificates.rsa, 0)));
	came = peer_open(&peer, argv);
	if (came) {
		if (certificate != NULL)
			peer_await(&peer,
				version == ANYIO_TLS_VERSION_1_2 ? "well TLSv1.2 two"
								 : "well TLSv1.3 two");
		else
			peer_await(&peer, "error ");
		peer_end(&peer);
	} else {
		anyio_event_set(&service.served);
	}
	service_end(&service, &group);
	if (came)
		CHECK_RC(certificate != NULL ? service.ended : service.refused,
			certificate != NULL ? 0 : ANYIO_TLS_FAILED);
}

static int node_as_client(void *arg)
{
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		node_comes(v, "yes");
		node_comes(v, NULL);
	}
	return 0;
}

static void files_write(void)
{
	folder_make(&folder);
	pem_write(folder.folder, "root", certificates.root.chain);
	pem_write(folder.folder, "other", certificates.other_root.chain);
	pem_write(folder.folder, "server", certificates.server.chain);
	pem_write(folder.folder, "server.key", certificates.server.key);
	pem_write(folder.folder, "client", certificates.client.chain);
	pem_write(folder.folder, "client.key", certificates.client.key);
}

int main(void)
{
	static const char *const files[] = { "root", "other", "server", "server.key", "client",
		"client.key" };
	static const struct conformance_case cases[] = {
		CONFORM(openssl_as_server, CONFORM_NO_SIM),
		CONFORM(openssl_as_client, CONFORM_NO_SIM),
		CONFORM(node_as_server, CONFORM_NO_SIM),
		CONFORM(node_as_client, CONFORM_NO_SIM),
	};
	int failed;

	certificates_make();
	files_write();
	failed = run_conformance(cases, sizeof(cases) / sizeof(*cases));
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlink(file_of(files[i]));
	folder_remove(&folder);
	certificates_free();
	return failed;
}
