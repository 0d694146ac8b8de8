/*
 * SFTP as a kind of store: its connections, its calls, and the verbs that are a question or two.
 *
 * A connection is one call's at a time. Given back whole it is kept for the next, and closed when none has come for a
 * while; one that something is still outstanding on, or that broke, is closed at once. There are few of them: sshd
 * lets ten people at a time say who they are.
 */
#include "sftp.h"

#include <errno.h>
#include <inttypes.h>
#include <multiformats/sha256.h>
#include <stdio.h>
#include <string.h>

#include "sftp_name.h"
#include "ssh_library.h"

enum { CONNECTIONS = 8, FOLDER_MAX = 1024, USER_MAX = 255 };

/* ---- connections ---- */

static struct sftp_conn *take_idle(struct sftp *sftp)
{
	struct sftp_conn *conn;

	while ((conn = LIST_FIRST(&sftp->idle))) {
		LIST_REMOVE(conn, link);
		if (ssh_is_there(conn->ssh))
			return conn;
		sftp_conn_close(conn);
	}
	return NULL;
}

static int borrow(
	struct sftp *sftp, struct sftp_conn **conn, enum verdict *verdict, struct remote_why *why)
{
	int rc = anyio_semaphore_acquire(&sftp->places);

	*verdict = VERDICT_FINAL;
	if (rc)
		return rc;
	*conn = take_idle(sftp);
	if (!*conn)
		rc = sftp_conn_open(&sftp->ssh, sftp->folder, conn, verdict, why);
	if (rc) {
		anyio_semaphore_release(&sftp->places);
		return rc;
	}
	(*conn)->verdict = verdict;
	(*conn)->why = why;
	*verdict = VERDICT_DONE;
	return 0;
}

static void give_back(struct sftp *sftp, struct sftp_conn *conn)
{
	anyio_semaphore_release(&sftp->places);
	if (conn->broken || conn->outstanding || sftp->ended) {
		sftp_conn_close(conn);
		return;
	}
	conn->idle_since = anyio_now();
	if (sftp->timer && LIST_EMPTY(&sftp->idle))
		anyio_cancel_scope_set_deadline(sftp->timer, conn->idle_since + sftp->idle_most);
	LIST_INSERT_HEAD(&sftp->idle, conn, link);
}

/* Closes those that nobody has wanted since then, and says when to look again. */
static anyio_time close_idle(struct sftp *sftp, anyio_time since)
{
	struct sftp_conn *conn, *next;
	anyio_time oldest = ANYIO_FOREVER;

	for (conn = LIST_FIRST(&sftp->idle); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		if (conn->idle_since <= since) {
			LIST_REMOVE(conn, link);
			sftp_conn_close(conn);
		} else if (conn->idle_since + sftp->idle_most < oldest) {
			oldest = conn->idle_since + sftp->idle_most;
		}
	}
	return oldest;
}

/* ---- calls ---- */

struct performing {
	struct sftp *sftp;
	int (*once)(struct sftp_conn *conn, void *arg);
	void *arg;
	struct remote_why *why;
};

/* Nothing is where the folder itself has gone, say with a disk: that is no word about an object. */
static int tell_missing(struct sftp *sftp, struct sftp_conn *conn)
{
	int rc = sftp_check_folder(conn, sftp->folder);

	return rc ? rc : -ENOENT;
}

static int attempt(void *arg, enum verdict *verdict, anyio_time *wait, struct remote_why *why)
{
	struct performing *performing = arg;
	struct sftp_conn *conn;
	int rc = borrow(performing->sftp, &conn, verdict, why);

	if (rc)
		return rc;
	rc = performing->once(conn, performing->arg);
	if (rc == -ENOENT && !conn->broken && !conn->outstanding)
		rc = tell_missing(performing->sftp, conn);
	give_back(performing->sftp, conn);
	return rc;
}

static int load(void *why)
{
	return ssh_library_load(why);
}

static int load_once(struct sftp *sftp, struct remote_why *why)
{
	struct remote_why unused;
	int rc;

	if (sftp->loaded)
		return 0;
	rc = anyio_lock_acquire(&sftp->loading);
	if (rc)
		return rc;
	if (!sftp->loaded)
		rc = anyio_to_thread(load, why ? why : &unused, NULL);
	sftp->loaded = !rc;
	anyio_lock_release(&sftp->loading);
	return rc;
}

static int perform(void *arg)
{
	struct performing *performing = arg;
	int rc = load_once(performing->sftp, performing->why);

	return rc ? rc
		  : remote_attempt(&performing->sftp->remote, attempt, performing, performing->why);
}

int sftp_perform(struct sftp *sftp, int (*once)(struct sftp_conn *conn, void *arg), void *arg,
	struct remote_why *why)
{
	struct performing performing = { sftp, once, arg, why };
	struct sftp_call call;
	int rc = anyio_event_wait(&sftp->running);

	if (rc || sftp->ended)
		return rc ? rc : ANYIO_CLOSED;
	anyio_cancel_scope_init(&call.scope);
	LIST_INSERT_HEAD(&sftp->calls, &call, link);
	rc = anyio_cancel_scope_run(&call.scope, perform, &performing);
	LIST_REMOVE(&call, link);
	return anyio_cancel_scope_cancelled_caught(&call.scope) ? ANYIO_CLOSED : rc;
}

static int wait_until(struct sftp *sftp, anyio_time when)
{
	struct anyio_cancel_scope timer;
	int rc;

	anyio_cancel_scope_init(&timer);
	anyio_cancel_scope_set_deadline(&timer, when);
	anyio_cancel_scope_enter(&timer);
	sftp->timer = &timer;
	rc = anyio_sleep_forever();
	sftp->timer = NULL;
	return anyio_cancel_scope_exit(&timer, rc);
}

static int run(struct remote *remote)
{
	struct sftp *sftp = (struct sftp *)remote;
	struct sftp_call *call;
	anyio_time when = ANYIO_FOREVER;
	int rc;

	anyio_event_set(&sftp->running);
	while ((rc = wait_until(sftp, when)) == 0)
		when = close_idle(sftp, anyio_now() - sftp->idle_most);
	sftp->ended = true;
	LIST_FOREACH (call, &sftp->calls, link)
		anyio_cancel_scope_cancel(&call->scope, "the remote has ended");
	close_idle(sftp, anyio_now());
	return rc;
}

/* ---- verbs ---- */

int sftp_path(const struct sftp *sftp, const char *key, struct text *path, struct remote_why *why)
{
	int rc;

	text_add(path, "%s", sftp->folder);
	rc = sftp_name_encode(path, key);
	if (rc == -EINVAL)
		return explain(why, rc,
			"shorten it, or put slashes in: between two, what is not a-z, 0-9, '-', '.', "
			"'_' or '~' counts three",
			"a part of '%.80s' is longer than the name of a file may be, 255 bytes",
			key);
	return rc;
}

void sftp_etag(const struct sftp_attrs *attrs, char out[REMOTE_ETAG_MAX])
{
	snprintf(out, REMOTE_ETAG_MAX, "%" PRIx32 "-%" PRIx64, attrs->changed, attrs->size);
}

static int no_object(struct sftp_conn *conn, const char *path)
{
	return explain(
		conn->why, -ENOENT, NULL, "%s: '%s' is there, and no object", conn->endpoint, path);
}

/* One verb and what it is about. */
struct verb {
	struct sftp *sftp;
	const char *path;
	struct remote_head *head;
	/* Of a get. */
	uint64_t begin, offset, size;
	int (*take)(void *arg, const void *data, size_t len);
	void *arg;
	char etag[REMOTE_ETAG_MAX];
};

static int perform_on(struct sftp *sftp, const char *key,
	int (*once)(struct sftp_conn *conn, void *arg), struct verb *verb, struct remote_why *why)
{
	struct text path = { 0 };
	int rc = sftp_path(sftp, key, &path, why);

	verb->sftp = sftp;
	verb->path = path.chars;
	if (!rc)
		rc = sftp_perform(sftp, once, verb, why);
	text_free(&path);
	return rc;
}

/* What is read goes on where an earlier attempt broke, if it still is the same. */
static int get_open(struct sftp_conn *conn, struct verb *verb, const struct sftp_handle *handle)
{
	uint64_t before = verb->offset, end = verb->begin + verb->size;
	char etag[REMOTE_ETAG_MAX];
	struct sftp_attrs attrs;
	int rc = sftp_fstat(conn, handle, &attrs);

	if (rc)
		return rc;
	if (attrs.kind != SFTP_KIND_FILE || !attrs.has_size)
		return no_object(conn, verb->path);
	sftp_etag(&attrs, etag);
	if (verb->etag[0] && strcmp(verb->etag, etag) != 0)
		return explain(conn->why, -EBADMSG, "read it again from its beginning",
			"the object has changed while it was read");
	strcpy(verb->etag, etag);
	end = end < attrs.size ? end : attrs.size;
	if (verb->offset < end)
		rc = sftp_read_file(
			conn, handle, &verb->offset, end - verb->offset, verb->take, verb->arg);
	verb->sftp->remote.statistics.received += verb->offset - before;
	return rc;
}

static int get_once(struct sftp_conn *conn, void *arg)
{
	struct verb *verb = arg;
	struct sftp_handle handle;
	int rc = sftp_open(conn, verb->path, SFTP_FLAG_READ, &handle);

	if (rc)
		return rc;
	rc = get_open(conn, verb, &handle);
	if (!conn->broken && !conn->outstanding)
		sftp_close(conn, &handle);
	return rc;
}

static int get(struct remote *remote, const char *key, uint64_t offset, uint64_t size,
	int (*take)(void *arg, const void *data, size_t len), void *arg, struct remote_why *why)
{
	struct verb verb = {
		.begin = offset, .offset = offset, .size = size, .take = take, .arg = arg
	};

	return perform_on((struct sftp *)remote, key, get_once, &verb, why);
}

static int head_once(struct sftp_conn *conn, void *arg)
{
	struct verb *verb = arg;
	struct sftp_attrs attrs;
	int rc = sftp_stat(conn, SFTP_LSTAT, verb->path, &attrs);

	if (rc)
		return rc;
	if (attrs.kind != SFTP_KIND_FILE || !attrs.has_size)
		return no_object(conn, verb->path);
	verb->head->size = attrs.size;
	sftp_etag(&attrs, verb->head->etag);
	return 0;
}

static int head(
	struct remote *remote, const char *key, struct remote_head *out, struct remote_why *why)
{
	struct verb verb = { .head = out };

	return perform_on((struct sftp *)remote, key, head_once, &verb, why);
}

static int delete_once(struct sftp_conn *conn, void *arg)
{
	return sftp_remove(conn, ((struct verb *)arg)->path);
}

static int delete (struct remote *remote, const char *key, struct remote_why *why)
{
	struct verb verb = { 0 };

	return perform_on((struct sftp *)remote, key, delete_once, &verb, why);
}

/* ---- life ---- */

static bool is_text(const char *text, size_t most)
{
	for (const char *c = text ? text : ""; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return text && text[0] && strlen(text) <= most;
}

static int check_options(const struct remote_options *options, struct remote_why *why)
{
	if (!is_text(options->folder, FOLDER_MAX))
		return explain(why, -EINVAL, "name one that exists there, as /srv/ipfs",
			"that is not the path of a folder");
	if (!is_text(options->user, USER_MAX))
		return explain(why, -EINVAL, "name the one that owns the folder there",
			"that is not the name of a user");
	if (!options->key_file && !options->credentials.password[0])
		return explain(why, -EINVAL, "make one: ssh-keygen -t ed25519 -N '' -f FILE",
			"there is neither a file with a private key nor a password");
	if (!options->known_hosts)
		return explain(why, -EINVAL,
			"make it: ssh-keyscan HOST > FILE, and compare the keys in it with the "
			"server's",
			"no file of known hosts is named");
	return 0;
}

static int take_texts(struct sftp *sftp, const struct remote_options *options)
{
	struct text uploads = { 0 };
	uint8_t digest[MF_SHA256_SIZE];
	size_t len;

	sftp->folder = anyio_strdup(options->folder);
	sftp->user = anyio_strdup(options->user);
	sftp->key_file = options->key_file ? anyio_strdup(options->key_file) : NULL;
	strcpy(sftp->password, options->credentials.password);
	sftp->known_hosts = anyio_strdup(options->known_hosts);
	sftp->durable = options->durable;
	if (!sftp->folder || !sftp->user || (options->key_file && !sftp->key_file) ||
		!sftp->known_hosts)
		return -ENOMEM;
	for (len = strlen(sftp->folder); len > 1 && sftp->folder[len - 1] == '/';)
		sftp->folder[--len] = '\0';
	text_add(&uploads, "%s/.uploads", sftp->folder);
	sftp->uploads = uploads.chars;
	mf_sha256(sftp->remote.prefix, strlen(sftp->remote.prefix), digest);
	for (int i = 0; i < 8; i++)
		sprintf(sftp->upload_mark + 2 * i, "%02x", digest[i]);
	return uploads.rc;
}

static int create(
	struct remote *remote, const struct remote_options *options, struct remote_why *why)
{
	struct sftp *sftp = (struct sftp *)remote;
	unsigned connections = remote->connections ? remote->connections : CONNECTIONS;
	int rc = check_options(options, why);

	if (!rc)
		rc = take_texts(sftp, options);
	sftp->ssh = (struct ssh_options){ .endpoint = remote->endpoint,
		.host = remote->host,
		.port = remote->port,
		.user = sftp->user,
		.key_file = sftp->key_file,
		.known_hosts = sftp->known_hosts,
		.password = sftp->password,
		.silence = remote->silence };
	sftp->idle_most = options->idle ? options->idle : 60 * ANYIO_SECOND;
	anyio_event_init(&sftp->running);
	anyio_lock_init(&sftp->loading);
	anyio_semaphore_init(&sftp->places, connections, connections);
	LIST_INIT(&sftp->idle);
	LIST_INIT(&sftp->calls);
	LIST_INIT(&sftp->uploading);
	return rc;
}

static void destroy(struct remote *remote)
{
	struct sftp *sftp = (struct sftp *)remote;

	explicit_bzero(sftp->password, sizeof(sftp->password));
	anyio_free(sftp->folder);
	anyio_free(sftp->user);
	anyio_free(sftp->key_file);
	anyio_free(sftp->known_hosts);
	anyio_free(sftp->uploads);
}

const struct kind sftp_kind = { sizeof(struct sftp), create, destroy, run, sftp_put, get, head,
	delete, sftp_list, sftp_sweep };
