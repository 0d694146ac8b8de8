/* What streams know of themselves, and through what is laid over them. */
#include "processes.h"
#include "sockets.h"

static int tcp_knows_its_addresses_and_descriptor(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_address local, remote;
	int fd = -1;

	connect_pair(ends);
	CHECK_RC(anyio_stream_attribute(
			 ends[0], ANYIO_ATTRIBUTE_LOCAL_ADDRESS, &local, sizeof(local)),
		sizeof(local));
	CHECK_RC(anyio_stream_attribute(
			 ends[1], ANYIO_ATTRIBUTE_REMOTE_ADDRESS, &remote, sizeof(remote)),
		sizeof(remote));
	CHECK(local.len == sizeof(local.ip4) && local.len == remote.len);
	CHECK(local.ip4.sin_port != 0 && local.ip4.sin_port == remote.ip4.sin_port);
	CHECK_RC(anyio_stream_attribute(ends[0], ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	CHECK(fd >= 0);
	CHECK_RC(anyio_stream_attribute(ends[0], ANYIO_ATTRIBUTE_CREDENTIALS, NULL, 0), -ENODATA);
	CHECK_RC(anyio_stream_attribute(ends[0], ANYIO_ATTRIBUTE_TLS_ALPN, NULL, 0), -ENODATA);
	pair_free(ends);
	return 0;
}

static int size_is_said_and_kept(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_address address = { .len = 77 };

	connect_pair(ends);
	CHECK_RC(anyio_stream_attribute(ends[0], ANYIO_ATTRIBUTE_LOCAL_ADDRESS, NULL, 0),
		sizeof(address));
	CHECK_RC(anyio_stream_attribute(
			 ends[0], ANYIO_ATTRIBUTE_LOCAL_ADDRESS, &address, sizeof(address) - 1),
		-ENOSPC);
	CHECK(address.len == 77);
	pair_free(ends);
	return 0;
}

static int closed_stream_says_so(void *arg)
{
	struct anyio_stream *ends[2];

	connect_pair(ends);
	anyio_stream_close(ends[0]);
	CHECK_RC(
		anyio_stream_attribute(ends[0], ANYIO_ATTRIBUTE_DESCRIPTOR, NULL, 0), ANYIO_CLOSED);
	pair_free(ends);
	return 0;
}

static int unix_knows_who_is_there(void *arg)
{
	struct anyio_stream *ends[2];

	connect_unix_pair(ends);
	for (int i = 0; i < 2; i++) {
		struct anyio_credentials peer;

		CHECK_RC(anyio_stream_attribute(
				 ends[i], ANYIO_ATTRIBUTE_CREDENTIALS, &peer, sizeof(peer)),
			sizeof(peer));
		CHECK(peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid());
	}
	pair_free(ends);
	return 0;
}

static int memory_has_none(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_address address;

	CHECK_RC(anyio_stream_pair(0, ends), 0);
	for (int i = 0; i < ANYIO_ATTRIBUTES; i++)
		CHECK_RC(anyio_stream_attribute(ends[0], (enum anyio_attribute)i, NULL, 0),
			-ENODATA);
	CHECK_RC(anyio_stream_remote_address(ends[0], &address), -ENOTSOCK);
	pair_free(ends);
	return 0;
}

static int pipe_knows_its_child(void *arg)
{
	struct anyio_process *process = shell("exit 0", OPTIONS(.out = PIPE));
	struct anyio_stream *out = anyio_process_out(process);
	pid_t pid = 0;
	int fd = -1;

	CHECK_RC(anyio_stream_attribute(out, ANYIO_ATTRIBUTE_PROCESS_ID, &pid, sizeof(pid)),
		sizeof(pid));
	CHECK_RC(pid, anyio_process_pid(process));
	CHECK_RC(anyio_stream_attribute(out, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	CHECK(fd > 2);
	anyio_stream_close(out);
	CHECK_RC(anyio_stream_attribute(out, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		ANYIO_CLOSED);
	CHECK_RC(anyio_process_close(process), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(tcp_knows_its_addresses_and_descriptor, 0),
		CONFORM(size_is_said_and_kept, 0),
		CONFORM(closed_stream_says_so, 0),
		CONFORM(unix_knows_who_is_there, 0),
		CONFORM(memory_has_none, 0),
		CONFORM(pipe_knows_its_child, CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
