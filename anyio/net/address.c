#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include "net.h"

int anyio_address_parse(struct anyio_address *address, const char *host, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &address->ip4.sin_addr) == 1) {
		address->ip4.sin_family = AF_INET;
		address->ip4.sin_port = htons(port);
		address->len = sizeof(address->ip4);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &address->ip6.sin6_addr) == 1) {
		address->ip6.sin6_family = AF_INET6;
		address->ip6.sin6_port = htons(port);
		address->len = sizeof(address->ip6);
		return 0;
	}
	return -EINVAL;
}

/* A path, or an abstract name written with a leading '@'; without either, "". */
static int format_unix(const struct anyio_address *address, char *out, size_t cap)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
	size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t size = address->len > start ? address->len - start : 0;

	if (size > 0 && un->sun_path[0] == '\0')
		return snprintf(out, cap, "@%.*s", (int)size - 1, un->sun_path + 1);
	return snprintf(out, cap, "%.*s", (int)strnlen(un->sun_path, size), un->sun_path);
}

int anyio_address_format(const struct anyio_address *address, char *out, size_t cap)
{
	char host[INET6_ADDRSTRLEN];
	int n;

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->ip4.sin_addr, host, sizeof(host));
		n = snprintf(out, cap, "%s:%u", host, (unsigned)ntohs(address->ip4.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->ip6.sin6_addr, host, sizeof(host));
		n = snprintf(out, cap, "[%s]:%u", host, (unsigned)ntohs(address->ip6.sin6_port));
		break;
	case AF_UNIX: n = format_unix(address, out, cap); break;
	default: return -EAFNOSUPPORT;
	}
	return n >= 0 && (size_t)n < cap ? n : -ENOSPC;
}

int anyio_address_unix(struct anyio_address *address, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
	size_t size = strlen(path) + 1;

	if (size == 1)
		return -EINVAL;
	if (size > sizeof(un->sun_path))
		return -ENAMETOOLONG;
	memset(address, 0, sizeof(*address));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, size);
	address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	return 0;
}
