#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "credentials.h"
#include "known_hosts.h"
#include "ssh_library.h"

enum { KEY_FILE_MAX = 16 << 10, KNOWN_HOSTS_MAX = 1 << 20, TURNS = 4 };
static const anyio_time connect_most = 10 * ANYIO_SECOND;

struct ssh {
	const struct ssh_options *options;
	struct anyio_stream *stream;
	int fd;
	LIBSSH2_SESSION *session;
	LIBSSH2_CHANNEL *channel;
	bool lost;      /* the socket has said so */
	bool gone;      /* nothing is to be read or written any more */
	unsigned turns; /* since the loop was last let run */
	char *key, *known_hosts;
	size_t key_len;
	/* What is being sent or received, for the steps. */
	char *data;
	size_t size;
};

/* ---- the socket ---- */

static ssize_t on_receive(libssh2_socket_t fd, void *buffer, size_t size, int flags, void **ssh_at)
{
	struct ssh *ssh = *ssh_at;
	ssize_t n = ssh->gone ? 0 : recv(fd, buffer, size, flags);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		ssh->lost = true;
	return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t on_send(libssh2_socket_t fd, const void *data, size_t size, int flags, void **ssh_at)
{
	struct ssh *ssh = *ssh_at;
	ssize_t n = ssh->gone ? -1 : send(fd, data, size, flags | MSG_NOSIGNAL);

	if (ssh->gone)
		return -ECONNRESET;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		ssh->lost = true;
	return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

struct pair {
	int fd;
	struct anyio_task_group *group;
};

static int wait_writable(void *arg)
{
	struct pair *pair = arg;
	int rc = anyio_wait_writable(pair->fd);

	anyio_task_group_cancel(pair->group, "the socket is ready");
	return rc;
}

static int wait_either(int fd)
{
	struct pair pair = { .fd = fd };
	int rc;

	ANYIO_TASK_GROUP(group);
	pair.group = &group;
	anyio_start_soon(&group, wait_writable, &pair, "ssh socket");
	rc = anyio_wait_readable(fd);
	anyio_task_group_cancel(&group, "the socket is ready");
	return anyio_task_group_exit(&group, rc);
}

static int wait_ready(void *arg)
{
	struct ssh *ssh = arg;
	int directions = ssh2.session_block_directions(ssh->session);

	if (directions == (LIBSSH2_SESSION_BLOCK_INBOUND | LIBSSH2_SESSION_BLOCK_OUTBOUND))
		return wait_either(ssh->fd);
	return directions == LIBSSH2_SESSION_BLOCK_OUTBOUND ? anyio_wait_writable(ssh->fd)
							    : anyio_wait_readable(ssh->fd);
}

/* Takes steps until one does not say that it has to wait. What it says then is *result; an error of libssh2 is none of ours. */
static int drive(struct ssh *ssh, ssize_t (*step)(struct ssh *ssh), ssize_t *result)
{
	int rc = 0;

	while (!rc && (*result = step(ssh)) == LIBSSH2_ERROR_EAGAIN) {
		ssh->turns = 0;
		rc = anyio_fail_after(ssh->options->silence, wait_ready, ssh);
	}
	/* A fast server must not keep the loop to itself. */
	if (!rc && ++ssh->turns == TURNS) {
		ssh->turns = 0;
		rc = anyio_checkpoint();
	}
	return rc;
}

/* ---- bytes ---- */

static int broken(struct ssh *ssh, ssize_t result)
{
	return result == LIBSSH2_ERROR_ALLOC ? -ENOMEM : -ECONNRESET;
}

static ssize_t step_write(struct ssh *ssh)
{
	return ssh2.channel_write_ex(ssh->channel, 0, ssh->data, ssh->size);
}

static ssize_t step_read(struct ssh *ssh)
{
	return ssh2.channel_read_ex(ssh->channel, 0, ssh->data, ssh->size);
}

static int move(struct ssh *ssh, ssize_t (*step)(struct ssh *ssh), void *data, size_t size)
{
	int rc = 0;

	ssh->data = data;
	ssh->size = size;
	while (!rc && ssh->size) {
		ssize_t n;

		rc = drive(ssh, step, &n);
		if (!rc && n <= 0)
			rc = broken(ssh, n);
		if (!rc) {
			ssh->data += n;
			ssh->size -= (size_t)n;
		}
	}
	return rc;
}

int ssh_send(struct ssh *ssh, const void *data, size_t size)
{
	return move(ssh, step_write, (void *)data, size);
}

int ssh_receive(struct ssh *ssh, void *buffer, size_t size)
{
	return move(ssh, step_read, buffer, size);
}

const char *ssh_says(struct ssh *ssh)
{
	char *says = NULL;

	ssh2.session_last_error(ssh->session, &says, NULL, 0);
	return says && says[0] ? says : "nothing";
}

bool ssh_is_there(const struct ssh *ssh)
{
	return !ssh->lost && anyio_stream_peer_state(ssh->stream) == 0;
}

/* ---- files ---- */

struct reading {
	struct ssh *ssh;
	struct remote_why *why;
};

/* All of a file, with a NUL behind it. */
static int read_whole(
	int fd, const char *path, size_t most, char **out, size_t *out_len, struct remote_why *why)
{
	char *text = anyio_malloc(most + 2);
	ssize_t len = text ? anyio_plain_read_blocking(fd, text, most + 1) : -ENOMEM;

	if (len >= 0 && (size_t)len <= most) {
		text[len] = '\0';
		*out = text;
		*out_len = (size_t)len;
		return 0;
	}
	anyio_free(text);
	if (len == -ENOMEM)
		return -ENOMEM;
	return explain(why, len < 0 ? (int)len : -EINVAL, NULL, "%s %s", path,
		len < 0 ? "cannot be read" : "is too large to be what it should be");
}

/* No error of these is one that a verb could take for an answer about an object: -ENOENT above all. */
static int read_key(struct ssh *ssh, struct remote_why *why)
{
	const char *path = ssh->options->key_file;
	int fd = credentials_open(path, why), rc = fd;

	if (fd >= 0) {
		rc = read_whole(fd, path, KEY_FILE_MAX, &ssh->key, &ssh->key_len, why);
		close(fd);
	}
	return rc >= 0 || rc == -ENOMEM || rc == -EPERM ? rc : -ENOKEY;
}

static int read_known_hosts(struct ssh *ssh, struct remote_why *why)
{
	const char *path = ssh->options->known_hosts;
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0), rc;
	size_t len;

	if (fd < 0)
		return explain(why, -EKEYREJECTED,
			"make it: ssh-keyscan HOST > FILE, and compare the keys in it with the "
			"server's",
			"%s, the file of known hosts, cannot be opened: %s", path,
			anyio_error_text(fd));
	rc = read_whole(fd, path, KNOWN_HOSTS_MAX, &ssh->known_hosts, &len, why);
	close(fd);
	return rc == 0 || rc == -ENOMEM ? rc : -EKEYREJECTED;
}

static int read_files(void *arg)
{
	struct reading *reading = arg;
	int rc = read_known_hosts(reading->ssh, reading->why);

	if (!rc && reading->ssh->options->key_file)
		rc = read_key(reading->ssh, reading->why);
	return rc;
}

static void forget_files(struct ssh *ssh)
{
	if (ssh->key)
		explicit_bzero(ssh->key, ssh->key_len);
	anyio_free(ssh->key);
	anyio_free(ssh->known_hosts);
	ssh->key = ssh->known_hosts = NULL;
}

/* ---- connecting ---- */

struct opening {
	struct ssh *ssh;
	enum verdict *verdict;
	struct remote_why *why;
};

static int connect_socket(void *arg)
{
	struct ssh *ssh = arg;

	return anyio_connect_tcp(ssh->options->host, ssh->options->port, &ssh->stream);
}

static int connect_in_time(struct opening *opening)
{
	struct ssh *ssh = opening->ssh;
	anyio_time most =
		ssh->options->silence < connect_most ? ssh->options->silence : connect_most;
	int rc = anyio_fail_after(most, connect_socket, ssh);

	if (rc == 0)
		return anyio_stream_attribute(ssh->stream, ANYIO_ATTRIBUTE_DESCRIPTOR, &ssh->fd,
			       sizeof(ssh->fd)) == sizeof(ssh->fd)
			? 0
			: -ENOTSUP;
	if (rc == ANYIO_CANCELLED || rc == -ENOMEM)
		return rc;
	*opening->verdict = VERDICT_PASSING;
	return explain(opening->why, rc == -ETIMEDOUT ? rc : -EHOSTUNREACH,
		rc == -ENOENT ? "check the endpoint's name, and this machine's DNS"
			      : "is the server running there, and the endpoint right?",
		"no connection to %s: %s", ssh->options->endpoint, anyio_error_text(rc));
}

/* Of an opening's step that libssh2 did not do. */
static int explain_step(struct opening *opening, const char *doing)
{
	struct ssh *ssh = opening->ssh;

	if (ssh2.session_last_errno(ssh->session) == LIBSSH2_ERROR_ALLOC)
		return -ENOMEM;
	if (ssh->lost) {
		*opening->verdict = VERDICT_PASSING;
		return explain(opening->why, -ECONNRESET,
			"is it sshd that answers there? its log says why it hung up",
			"%s broke the connection at %s: %s", ssh->options->endpoint, doing,
			ssh_says(ssh));
	}
	return explain(opening->why, -EPROTO, "is it sshd that answers there?",
		"%s and this side do not come together at %s: %s", ssh->options->endpoint, doing,
		ssh_says(ssh));
}

/* The same of one that did not even come to an end in time. */
static int explain_wait(struct opening *opening, int rc, const char *doing)
{
	if (rc != -ETIMEDOUT)
		return rc;
	*opening->verdict = VERDICT_PASSING;
	return explain(opening->why, rc, "is it sshd that answers there, or is it overloaded?",
		"%s has fallen silent at %s", opening->ssh->options->endpoint, doing);
}

static int take_step(struct opening *opening, ssize_t (*step)(struct ssh *ssh), const char *doing)
{
	ssize_t result;
	int rc = drive(opening->ssh, step, &result);

	if (rc)
		return explain_wait(opening, rc, doing);
	return result < 0 ? explain_step(opening, doing) : 0;
}

/* No SHA-1, no CBC, and no groups whose numbers take the loop a while. */
static int set_methods(struct ssh *ssh)
{
	static const struct {
		int method;
		const char *names;
	} methods[] = {
		{ LIBSSH2_METHOD_KEX,
			"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
			"ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group14-sha256" },
		{ LIBSSH2_METHOD_CRYPT_CS, "aes128-ctr,aes192-ctr,aes256-ctr" },
		{ LIBSSH2_METHOD_CRYPT_SC, "aes128-ctr,aes192-ctr,aes256-ctr" },
		{ LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256,hmac-sha2-512" },
		{ LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256,hmac-sha2-512" },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(methods) / sizeof(*methods); i++)
		rc = ssh2.session_method_pref(ssh->session, methods[i].method, methods[i].names);
	return rc ? -ENOMEM : 0;
}

static int make_session(struct ssh *ssh)
{
	ssh->session = ssh2.session_init_ex(NULL, NULL, NULL, ssh);
	if (!ssh->session)
		return -ENOMEM;
	ssh2.session_set_blocking(ssh->session, 0);
	ssh2.session_callback_set(ssh->session, LIBSSH2_CALLBACK_RECV, (void *)on_receive);
	ssh2.session_callback_set(ssh->session, LIBSSH2_CALLBACK_SEND, (void *)on_send);
	return set_methods(ssh);
}

static ssize_t step_handshake(struct ssh *ssh)
{
	return ssh2.session_handshake(ssh->session, ssh->fd);
}

/* Names that are hashed take a while to be compared: a worker thread does it, and nobody else has the session then. */
struct knowing {
	struct known_hosts known;
	struct opening *opening;
};

static int know(void *arg)
{
	struct knowing *knowing = arg;
	LIBSSH2_SESSION *session = knowing->opening->ssh->session;
	int rc = known_hosts_begin(&knowing->known, session);

	return rc ? rc : known_hosts_prefer(&knowing->known, session);
}

static int recognise(void *arg)
{
	struct knowing *knowing = arg;

	return known_hosts_check(
		&knowing->known, knowing->opening->ssh->session, knowing->opening->why);
}

static int meet(struct opening *opening)
{
	struct ssh *ssh = opening->ssh;
	struct knowing knowing = { .opening = opening,
		.known = { .host = ssh->options->host,
			.port = ssh->options->port,
			.file = ssh->options->known_hosts,
			.text = ssh->known_hosts } };
	int rc = anyio_to_thread(know, &knowing, NULL);

	if (!rc)
		rc = take_step(opening, step_handshake, "the handshake");
	if (!rc)
		rc = anyio_to_thread(recognise, &knowing, NULL);
	known_hosts_end(&knowing.known);
	return rc;
}

/* An empty passphrase: with none OpenSSL would ask for it at the terminal. */
static ssize_t step_key(struct ssh *ssh)
{
	const char *user = ssh->options->user;

	return ssh2.userauth_publickey_frommemory(
		ssh->session, user, strlen(user), NULL, 0, ssh->key, ssh->key_len, "");
}

static ssize_t step_password(struct ssh *ssh)
{
	const char *user = ssh->options->user, *password = ssh->options->password;

	return ssh2.userauth_password_ex(ssh->session, user, (unsigned)strlen(user), password,
		(unsigned)strlen(password), NULL);
}

static int explain_refusal(struct opening *opening)
{
	const struct ssh_options *options = opening->ssh->options;

	*opening->verdict = VERDICT_DONE;
	if (!options->key_file)
		return explain(opening->why, -EACCES,
			"check SFTP_PASSWORD or the file of credentials, and that the server takes "
			"passwords; a key is better",
			"%s does not let %s in with the password", options->endpoint,
			options->user);
	return explain(opening->why, -EACCES,
		"add the key's public half to authorized_keys there, or name another user or "
		"key; with an RSA key: take an ed25519 one",
		"%s does not let %s in with the key %s", options->endpoint, options->user,
		options->key_file);
}

static int authenticate(struct opening *opening)
{
	struct ssh *ssh = opening->ssh;
	bool key = ssh->options->key_file;
	ssize_t result;
	int rc = drive(ssh, key ? step_key : step_password, &result);

	if (rc)
		return explain_wait(opening, rc, "the authentication");
	if (result == 0)
		return 0;
	if (result == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
		result == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		return explain_refusal(opening);
	if (ssh->lost || result == LIBSSH2_ERROR_ALLOC || !key)
		return explain_step(opening, "the authentication");
	/* For keys that it cannot read it has any code. */
	return explain(opening->why, -ENOKEY,
		"make one without a passphrase: ssh-keygen -t ed25519 -N '' -f FILE",
		"%s is not a private key that can be used: %s", ssh->options->key_file,
		ssh_says(ssh));
}

static ssize_t step_open_channel(struct ssh *ssh)
{
	ssh->channel = ssh2.channel_open_ex(ssh->session, "session", strlen("session"),
		LIBSSH2_CHANNEL_WINDOW_DEFAULT, LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0);
	return ssh->channel ? 0 : ssh2.session_last_errno(ssh->session);
}

static ssize_t step_subsystem(struct ssh *ssh)
{
	return ssh2.channel_process_startup(
		ssh->channel, "subsystem", strlen("subsystem"), "sftp", strlen("sftp"));
}

/* What a server says beside the subsystem's bytes is for nobody here. */
static ssize_t step_quiet(struct ssh *ssh)
{
	return ssh2.channel_handle_extended_data2(
		ssh->channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
}

static int start_subsystem(struct opening *opening)
{
	int rc = take_step(opening, step_open_channel, "its channel");

	if (!rc)
		rc = take_step(opening, step_quiet, "its channel");
	if (!rc)
		rc = take_step(opening, step_subsystem, "'Subsystem sftp' of sshd_config");
	return rc;
}

static int open_all(struct opening *opening)
{
	struct ssh *ssh = opening->ssh;
	struct reading reading = { ssh, opening->why };
	int rc = anyio_to_thread(read_files, &reading, NULL);

	if (!rc)
		rc = connect_in_time(opening);
	if (!rc)
		rc = make_session(ssh);
	if (!rc)
		rc = meet(opening);
	if (!rc)
		rc = authenticate(opening);
	if (!rc)
		rc = start_subsystem(opening);
	forget_files(ssh);
	return rc;
}

int ssh_open(const struct ssh_options *options, struct ssh **out, enum verdict *verdict,
	struct remote_why *why)
{
	struct ssh *ssh = anyio_calloc(1, sizeof(*ssh));
	struct opening opening = { ssh, verdict, why };
	int rc;

	*verdict = VERDICT_FINAL;
	if (!ssh)
		return -ENOMEM;
	ssh->options = options;
	rc = open_all(&opening);
	if (rc)
		ssh_close(ssh);
	else
		*out = ssh;
	return rc;
}

/* libssh2 would say goodbye, and wait for the answer: it finds a socket that is gone. */
void ssh_close(struct ssh *ssh)
{
	if (!ssh)
		return;
	ssh->gone = true;
	if (ssh->session)
		while (ssh2.session_free(ssh->session) == LIBSSH2_ERROR_EAGAIN)
			;
	anyio_stream_free(ssh->stream);
	anyio_free(ssh);
}
