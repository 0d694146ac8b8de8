#include <errno.h>
#include <stdatomic.h>
#include <anyio/testing.h>
#include "net.h"

/* The ports of this process that were given out, one bit each. */
static _Atomic uint64_t given[65536 / 64];

static bool give_out(uint16_t port)
{
	uint64_t bit = UINT64_C(1) << port % 64;

	return (atomic_fetch_or(&given[port / 64], bit) & bit) == 0;
}

/* Binds a socket to host and *port, which is set when it was 0; the socket, or a negative code. */
static int bind_to(int type, const char *host, uint16_t *port)
{
	struct anyio_address address;
	int rc = anyio_address_parse(&address, host, *port), fd;

	if (rc < 0)
		return rc;
	fd = anyio_fd_socket(address.any.sa_family, type);
	if (fd < 0)
		return fd;
	rc = anyio_fd_bind(fd, &address);
	if (rc == 0)
		rc = anyio_fd_address(fd, false, &address);
	if (rc < 0) {
		anyio_fd_close(fd);
		return rc;
	}
	/* At the same place in both families. */
	*port = ntohs(address.ip4.sin_port);
	return fd;
}

/* A machine without IPv6 has nobody there either. */
static int try_port(int type, uint16_t *port)
{
	int fd = bind_to(type, "127.0.0.1", port), fd6;

	if (fd < 0)
		return fd;
	fd6 = bind_to(type, "::1", port);
	if (fd6 >= 0)
		anyio_fd_close(fd6);
	anyio_fd_close(fd);
	return fd6 == -EADDRINUSE ? -EADDRINUSE : 0;
}

int anyio_free_port(int type, uint16_t *port)
{
	enum { TRIES = 1000 };

	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -EINVAL;
	for (int i = 0; i < TRIES; i++) {
		int rc;

		*port = 0;
		rc = try_port(type, port);
		if (rc == 0 && give_out(*port))
			return 0;
		if (rc < 0 && rc != -EADDRINUSE)
			return rc;
	}
	return -EADDRINUSE;
}
