/*
 * Bytes of files, many requests under way at a time.
 *
 * A file is read in order, but its pieces may come in any, and shorter than asked for. A piece that comes before its turn
 * is kept until then; what lacks of a short one is asked for anew. So no more is in memory than what is asked for.
 */
#include <errno.h>
#include <inttypes.h>
#include <multiformats/sha256.h>
#include <string.h>

#include "sftp.h"

enum { AHEAD = 32 }; /* requests under way: 1 MiB */

/* ---- reading ---- */

struct piece {
	uint32_t id;
	uint64_t at;
	size_t size;    /* of it, still to be handed over */
	uint8_t *early; /* came before its turn: */
	size_t early_len;
};

struct reader {
	struct sftp_conn *conn;
	const struct sftp_handle *handle;
	int (*take)(void *arg, const void *data, size_t len);
	void *arg;
	uint64_t *offset, asked, end;
	struct piece pieces[AHEAD]; /* a ring: of them, from first on, count are under way */
	unsigned first, count;
};

static int ask_piece(struct reader *reader, struct piece *piece)
{
	struct sftp_packet *packet = sftp_request(reader->conn, SFTP_READ);

	piece->id = reader->conn->next_id - 1;
	sftp_add_bytes(packet, reader->handle->bytes, reader->handle->len);
	sftp_add_u64(packet, piece->at);
	sftp_add_u32(packet, (uint32_t)piece->size);
	return sftp_send(reader->conn);
}

static int ask_ahead(struct reader *reader)
{
	int rc = 0;

	while (!rc && reader->count < AHEAD && reader->asked < reader->end) {
		uint64_t left = reader->end - reader->asked;
		struct piece *piece = &reader->pieces[(reader->first + reader->count++) % AHEAD];

		*piece = (struct piece){ .at = reader->asked,
			.size = left < SFTP_PIECE ? (size_t)left : SFTP_PIECE };
		reader->asked += piece->size;
		rc = ask_piece(reader, piece);
	}
	return rc;
}

static int hand_over(struct reader *reader, const uint8_t *data, size_t len)
{
	struct piece *piece = &reader->pieces[reader->first];
	int rc = reader->take(reader->arg, data, len);

	if (rc)
		return sftp_end_here(reader->conn, rc);
	*reader->offset += len;
	piece->at += len;
	piece->size -= len;
	if (piece->size)
		return ask_piece(reader, piece);
	reader->first = (reader->first + 1) % AHEAD;
	reader->count--;
	return 0;
}

static int hand_over_early(struct reader *reader)
{
	int rc = 0;

	while (!rc && reader->count && reader->pieces[reader->first].early) {
		struct piece *piece = &reader->pieces[reader->first];
		uint8_t *early = piece->early;

		piece->early = NULL;
		rc = hand_over(reader, early, piece->early_len);
		anyio_free(early);
	}
	return rc;
}

static int keep_early(struct reader *reader, struct piece *piece, struct sftp_bytes data)
{
	piece->early = anyio_malloc(data.len);
	if (!piece->early)
		return sftp_end_here(reader->conn, -ENOMEM);
	memcpy(piece->early, data.at, data.len);
	piece->early_len = data.len;
	return 0;
}

static struct piece *find_piece(struct reader *reader, uint32_t id)
{
	for (unsigned i = 0; i < reader->count; i++) {
		struct piece *piece = &reader->pieces[(reader->first + i) % AHEAD];

		if (piece->id == id && !piece->early)
			return piece;
	}
	return NULL;
}

static int take_reply(struct reader *reader)
{
	struct sftp_conn *conn = reader->conn;
	struct piece *piece;
	int rc = sftp_receive(conn);

	if (rc)
		return rc;
	piece = find_piece(reader, conn->reply.id);
	if (!piece)
		return sftp_strange(conn, "a piece has the number of none that was asked for");
	if (conn->reply.type == SFTP_STATUS && conn->reply.status == SFTP_EOF)
		return explain(conn->why, -EBADMSG, "read it again from its beginning",
			"the object has changed while it was read: it ends before byte %" PRIu64,
			piece->at + piece->size);
	if (conn->reply.type == SFTP_STATUS && conn->reply.status != SFTP_OK)
		return sftp_fail(conn, "read", "an object");
	if (conn->reply.type != SFTP_DATA || conn->reply.bytes.len == 0 ||
		conn->reply.bytes.len > piece->size)
		return sftp_strange(conn, "a piece is not what was asked for");
	if (piece != &reader->pieces[reader->first])
		return keep_early(reader, piece, conn->reply.bytes);
	rc = hand_over(reader, conn->reply.bytes.at, conn->reply.bytes.len);
	return rc ? rc : hand_over_early(reader);
}

int sftp_read_file(struct sftp_conn *conn, const struct sftp_handle *handle, uint64_t *offset,
	uint64_t size, int (*take)(void *arg, const void *data, size_t len), void *arg)
{
	struct reader *reader = anyio_calloc(1, sizeof(*reader));
	int rc;

	if (!reader)
		return sftp_end_here(conn, -ENOMEM);
	*reader = (struct reader){ .conn = conn,
		.handle = handle,
		.take = take,
		.arg = arg,
		.offset = offset,
		.asked = *offset,
		.end = *offset + size };
	rc = ask_ahead(reader);
	while (!rc && reader->count) {
		rc = take_reply(reader);
		if (!rc)
			rc = ask_ahead(reader);
	}
	for (unsigned i = 0; i < reader->count; i++)
		anyio_free(reader->pieces[(reader->first + i) % AHEAD].early);
	anyio_free(reader);
	return rc;
}

/* ---- writing ---- */

struct writer {
	struct sftp_conn *conn;
	const struct sftp_handle *handle;
	const char *path;
	const struct remote_source *source;
	struct mf_sha256 hash;
};

/* Into the packet itself, behind what comes before its bytes. */
static int send_piece(struct writer *writer, uint64_t at)
{
	struct sftp_conn *conn = writer->conn;
	uint64_t left = writer->source->size - at;
	size_t size = left < SFTP_PIECE ? (size_t)left : SFTP_PIECE;
	struct sftp_packet *packet = sftp_request(conn, SFTP_WRITE);
	size_t head;
	ssize_t n;
	int rc;

	sftp_add_bytes(packet, writer->handle->bytes, writer->handle->len);
	sftp_add_u64(packet, at);
	head = packet->len + 4;
	n = writer->source->read(writer->source->arg, packet->bytes + head, size, at);
	if (n <= 0 || (size_t)n > size) {
		rc = sftp_end_here(conn, n < 0 ? (int)n : ANYIO_INCOMPLETE_READ);
		return explain(conn->why, rc, NULL,
			"what was to be sent cannot be read at byte %" PRIu64 ": %s", at,
			anyio_error_text(rc));
	}
	sftp_add_u32(packet, (uint32_t)n);
	packet->len += (size_t)n;
	mf_sha256_update(&writer->hash, packet->bytes + head, (size_t)n);
	rc = sftp_send(conn);
	return rc ? rc : (int)n;
}

static int take_status(struct writer *writer)
{
	int rc = sftp_receive(writer->conn);

	if (rc)
		return rc;
	if (writer->conn->reply.type != SFTP_STATUS)
		return sftp_strange(writer->conn, "it answers a write with something else");
	return writer->conn->reply.status == SFTP_OK
		? 0
		: sftp_fail(writer->conn, "write to", writer->path);
}

/* Replies to what was sent, until no more than most are outstanding. */
static int take_statuses(struct writer *writer, unsigned most)
{
	int rc = 0;

	while (!rc && writer->conn->outstanding > most)
		rc = take_status(writer);
	return rc;
}

/* Takes what is still to come after an error, so that the connection can be used on; the error stays. */
static void settle(struct writer *writer)
{
	struct sftp_conn *conn = writer->conn;
	struct remote_why *why = conn->why, unused;
	enum verdict verdict = *conn->verdict;

	conn->why = &unused;
	while (!conn->broken && conn->outstanding)
		take_status(writer);
	conn->why = why;
	*conn->verdict = verdict;
}

int sftp_write_file(struct sftp_conn *conn, const struct sftp_handle *handle, const char *path,
	const struct remote_source *source, uint8_t sha256[REMOTE_CHECKSUM_SIZE])
{
	struct writer writer = { conn, handle, path, source, { { 0 } } };
	int rc = 0;

	mf_sha256_init(&writer.hash);
	for (uint64_t at = 0; !rc && at < source->size;) {
		rc = send_piece(&writer, at);
		at += rc > 0 ? (uint64_t)rc : 0;
		if (rc > 0)
			rc = take_statuses(&writer, AHEAD - 1);
	}
	if (!rc)
		rc = take_statuses(&writer, 0);
	if (rc)
		settle(&writer);
	mf_sha256_final(&writer.hash, sha256);
	return rc;
}
