#include <errno.h>

#include <anyio/memory.h>
#include <libp2p/perf.h>

#include "../swarm.h"

enum { BLOCK = P2P_FRAMES_AT_ONCE * P2P_YAMUX_DATA_MAX }; /* as much as goes out at once */

static uint8_t zeros[BLOCK];

static int send_zeros(struct anyio_stream *stream, uint64_t count)
{
	int rc = 0;

	while (rc == 0 && count > 0) {
		size_t n = count < BLOCK ? (size_t)count : BLOCK;

		rc = anyio_stream_send(stream, zeros, n);
		count -= n;
	}
	return rc;
}

/* Receives to the end. */
static int receive_all(struct anyio_stream *stream, uint64_t *count)
{
	uint8_t *block = anyio_malloc(BLOCK);
	ssize_t n;

	*count = 0;
	if (!block)
		return -ENOMEM;
	while ((n = anyio_stream_receive(stream, block, BLOCK)) > 0)
		*count += (uint64_t)n;
	anyio_free(block);
	return (int)n;
}

static int upload_and_download(
	struct anyio_stream *stream, uint64_t upload, uint64_t download, anyio_time *turned)
{
	uint8_t header[8];
	uint64_t received;
	int rc;

	for (int i = 0; i < 8; i++)
		header[i] = (uint8_t)(download >> (56 - 8 * i));
	rc = anyio_stream_send(stream, header, sizeof header);
	if (rc == 0)
		rc = send_zeros(stream, upload);
	if (rc == 0)
		rc = anyio_stream_send_eof(stream);
	*turned = anyio_now();
	if (rc == 0)
		rc = receive_all(stream, &received);
	return rc == 0 && received != download ? -EBADMSG : rc;
}

int p2p_perf(struct p2p_host *host, const struct mf_peer_id *peer, uint64_t upload,
	uint64_t download, anyio_time *upload_time, anyio_time *download_time)
{
	static const char *const protocols[] = { P2P_PERF_PROTOCOL };
	anyio_time start = anyio_now(), turned;
	struct anyio_stream *stream;
	int rc = p2p_host_open_stream(host, peer, protocols, 1, &stream, NULL);

	if (rc < 0)
		return rc;
	rc = upload_and_download(stream, upload, download, &turned);
	if (upload_time)
		*upload_time = turned - start;
	if (download_time)
		*download_time = anyio_now() - turned;
	if (rc < 0)
		anyio_stream_abort(stream);
	anyio_stream_free(stream);
	return rc;
}

static int serve_perf(struct p2p_stream_in *in, void *arg)
{
	uint8_t header[8];
	uint64_t wanted = 0, received;
	int rc = anyio_stream_receive_exactly(in->stream, header, sizeof header);

	for (int i = 0; i < 8; i++)
		wanted = wanted << 8 | header[i];
	if (rc == 0)
		rc = receive_all(in->stream, &received);
	if (rc == 0)
		rc = send_zeros(in->stream, wanted);
	return rc;
}

int p2p_perf_register(struct p2p_host *host)
{
	return p2p_host_handle(host, P2P_PERF_PROTOCOL, serve_perf, NULL);
}
