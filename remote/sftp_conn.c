/*
 * An SFTP session: requests go out with an id, and replies come back in any order.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sftp.h"

enum { OUT_CAP = 1024 + SFTP_PIECE + 16 * 1024, IN_CAP = 1024 + SFTP_PIECE, PROTOCOL = 3 };

/* ---- what goes wrong ---- */

int sftp_end_here(struct sftp_conn *conn, int rc)
{
	*conn->verdict = VERDICT_FINAL;
	return rc;
}

int sftp_strange(struct sftp_conn *conn, const char *what)
{
	conn->broken = true;
	*conn->verdict = VERDICT_FINAL;
	return explain(conn->why, -EPROTO, "is it an SFTP server of version 3?",
		"%s does not keep to SFTP: %s", conn->endpoint, what);
}

/* The connection has failed us: of what is under way on it nothing is known. */
static int lose(struct sftp_conn *conn, int rc)
{
	conn->broken = true;
	if (rc != -ECONNRESET && rc != -ETIMEDOUT)
		return sftp_end_here(conn, rc);
	*conn->verdict = VERDICT_PASSING;
	if (rc == -ETIMEDOUT)
		return explain(conn->why, rc, "is it, or the network, overloaded?",
			"%s has fallen silent", conn->endpoint);
	return explain(conn->why, rc, NULL, "the connection to %s broke: %s", conn->endpoint,
		ssh_says(conn->ssh));
}

static const struct {
	uint32_t status;
	int rc;
	const char *says, *hint;
} statuses[] = {
	{ SFTP_EOF, -EREMOTEIO, "its end was reached", NULL },
	{ SFTP_NO_SUCH_FILE, -ENOENT, "there is no such file", NULL },
	{ SFTP_PERMISSION_DENIED, -EACCES, "permission denied",
		"give the user the right to read and write in the remote's folder there" },
	{ SFTP_BAD_MESSAGE, -EREMOTEIO, "the server takes it for wrong", NULL },
	{ SFTP_OP_UNSUPPORTED, -EOPNOTSUPP, "the server cannot do that", NULL },
	{ SFTP_NO_SPACE, -ENOSPC, "the server is full", "free some room there" },
	{ SFTP_QUOTA, -ENOSPC, "the user's quota there is used up", "free some room there" },
};

int sftp_fail(struct sftp_conn *conn, const char *doing, const char *path)
{
	const struct sftp_reply *reply = &conn->reply;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
		if (statuses[i].status == reply->status)
			return explain(conn->why, statuses[i].rc, statuses[i].hint,
				"%s: cannot %s '%s': %s", conn->endpoint, doing, path,
				statuses[i].says);
	return explain(conn->why, -EREMOTEIO, "the server's log may say more",
		"%s: cannot %s '%s': status %u %.*s", conn->endpoint, doing, path, reply->status,
		(int)(reply->bytes.len < 100 ? reply->bytes.len : 100),
		reply->bytes.len ? (const char *)reply->bytes.at : "");
}

/* ---- requests and replies ---- */

struct sftp_packet *sftp_request(struct sftp_conn *conn, enum sftp_type type)
{
	sftp_begin(&conn->out, type, conn->next_id++);
	return &conn->out;
}

int sftp_send(struct sftp_conn *conn)
{
	int rc;

	if (conn->broken)
		return lose(conn, -ECONNRESET);
	if (conn->out.full) /* paths are bounded, so that is a mistake of ours */
		return sftp_end_here(conn, -E2BIG);
	sftp_end(&conn->out);
	rc = ssh_send(conn->ssh, conn->out.bytes, conn->out.len);
	if (rc)
		return lose(conn, rc);
	conn->outstanding++;
	return 0;
}

static int make_room(struct sftp_conn *conn, size_t len)
{
	uint8_t *in;

	if (len <= conn->in_cap)
		return 0;
	in = anyio_realloc(conn->in, len);
	if (!in)
		return -ENOMEM;
	conn->in = in;
	conn->in_cap = len;
	return 0;
}

int sftp_receive(struct sftp_conn *conn)
{
	uint8_t head[4];
	size_t len;
	int rc = ssh_receive(conn->ssh, head, sizeof(head));

	if (rc)
		return lose(conn, rc);
	len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (len > SFTP_PACKET_MAX)
		return sftp_strange(conn, "a packet is longer than any may be");
	rc = make_room(conn, len);
	if (!rc)
		rc = ssh_receive(conn->ssh, conn->in, len);
	if (rc)
		return lose(conn, rc);
	if (sftp_parse(conn->in, len, &conn->reply))
		return sftp_strange(conn, "a packet ends too early");
	if (conn->outstanding == 0)
		return sftp_strange(conn, "it answers what was not asked");
	conn->outstanding--;
	return 0;
}

int sftp_ask(struct sftp_conn *conn, enum sftp_type type, const char *doing, const char *path)
{
	int rc = sftp_send(conn);
	uint32_t id = conn->next_id - 1;

	if (!rc)
		rc = sftp_receive(conn);
	if (rc)
		return rc;
	if (conn->reply.id != id)
		return sftp_strange(conn, "an answer has the number of another request");
	if (conn->reply.type == SFTP_STATUS && conn->reply.status != SFTP_OK)
		return sftp_fail(conn, doing, path);
	if (conn->reply.type != type)
		return sftp_strange(conn, "an answer is of another kind than the request");
	return 0;
}

/* ---- life ---- */

static int say_hello(struct sftp_conn *conn)
{
	int rc;

	sftp_begin(&conn->out, SFTP_INIT, PROTOCOL);
	rc = sftp_send(conn);
	if (!rc)
		rc = sftp_receive(conn);
	if (rc)
		return rc;
	if (conn->reply.type != SFTP_VERSION || conn->reply.id < PROTOCOL)
		return sftp_strange(conn, "its version is not 3");
	conn->posix_rename = conn->reply.posix_rename;
	conn->fsync = conn->reply.fsync;
	conn->statvfs = conn->reply.statvfs;
	return 0;
}

int sftp_check_folder(struct sftp_conn *conn, const char *folder)
{
	struct sftp_attrs attrs;
	int rc = sftp_stat(conn, SFTP_STAT, folder, &attrs);

	if (rc == -ENOENT || (!rc && attrs.kind != SFTP_KIND_FOLDER))
		return explain(conn->why, -ENXIO, "create it there, or name another one",
			"%s has no folder '%s'", conn->endpoint, folder);
	return rc;
}

int sftp_conn_open(const struct ssh_options *options, const char *folder, struct sftp_conn **out,
	enum verdict *verdict, struct remote_why *why)
{
	struct sftp_conn *conn = anyio_calloc(1, sizeof(*conn));
	int rc = 0;

	*verdict = VERDICT_FINAL;
	if (!conn)
		return -ENOMEM;
	conn->endpoint = options->endpoint;
	conn->verdict = verdict;
	conn->why = why;
	conn->in_cap = IN_CAP;
	conn->in = anyio_malloc(IN_CAP);
	conn->out = (struct sftp_packet){ anyio_malloc(OUT_CAP), OUT_CAP, 0, false };
	if (!conn->in || !conn->out.bytes)
		rc = -ENOMEM;
	if (!rc)
		rc = ssh_open(options, &conn->ssh, verdict, why);
	if (!rc) {
		*verdict = VERDICT_DONE;
		rc = say_hello(conn);
	}
	if (!rc)
		rc = sftp_check_folder(conn, folder);
	if (rc)
		sftp_conn_close(conn);
	else
		*out = conn;
	return rc;
}

void sftp_conn_close(struct sftp_conn *conn)
{
	ssh_close(conn->ssh);
	anyio_free(conn->in);
	anyio_free(conn->out.bytes);
	anyio_free(conn);
}
