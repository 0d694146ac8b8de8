/* Simulated addresses, names, and which hosts cannot reach each other. */
#include <anyio/net.h>
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

int sim_address_read(struct sim_address *out, const void *addr, socklen_t len)
{
	*out = (struct sim_address){ 0 };
	if (len < sizeof(sa_family_t))
		return -EINVAL;
	out->family = ((const struct sockaddr *)addr)->sa_family;
	if (out->family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *in = addr;
		memcpy(out->ip, mapped, 12);
		memcpy(out->ip + 12, &in->sin_addr, 4);
		out->port = ntohs(in->sin_port);
		return 0;
	}
	if (out->family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *in6 = addr;
		memcpy(out->ip, &in6->sin6_addr, 16);
		out->port = ntohs(in6->sin6_port);
		return 0;
	}
	if (out->family == AF_UNIX && len <= sizeof(struct sockaddr_un)) {
		const struct sockaddr_un *un = addr;
		size_t room = len - offsetof(struct sockaddr_un, sun_path);
		bool abstract = room > 0 && un->sun_path[0] == '\0';
		out->path_len = (socklen_t)(abstract ? room : strnlen(un->sun_path, room));
		memcpy(out->path, un->sun_path, out->path_len);
		return 0;
	}
	return -EINVAL;
}

static socklen_t address_build(
	const struct sim_address *address, sa_family_t family, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	out->ss_family = family;
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		memcpy(&in->sin_addr, address->ip + 12, 4);
		in->sin_port = htons(address->port);
		return sizeof(*in);
	}
	if (family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
		memcpy(&in6->sin6_addr, address->ip, 16);
		in6->sin6_port = htons(address->port);
		return sizeof(*in6);
	}
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	/* A path's ends in a NUL, which counts. */
	bool path = address->path_len > 0 && address->path[0] != '\0';
	memcpy(un->sun_path, address->path, address->path_len);
	return (socklen_t)offsetof(struct sockaddr_un, sun_path) + address->path_len + path;
}

void sim_address_write(
	const struct sim_address *address, sa_family_t family, void *addr, socklen_t *len)
{
	struct sockaddr_storage storage;
	socklen_t size = address_build(address, family, &storage);
	memcpy(addr, &storage, *len < size ? *len : size);
	*len = size;
}

bool sim_address_any(const struct sim_address *address)
{
	static const uint8_t zero[16];
	if (memcmp(address->ip, zero, 16) == 0)
		return true;
	return memcmp(address->ip, mapped, 12) == 0 && memcmp(address->ip + 12, zero, 4) == 0;
}

bool sim_address_is_ip4(const struct sim_address *address)
{
	return memcmp(address->ip, mapped, 12) == 0;
}

struct sim_address sim_address_wildcard(sa_family_t family)
{
	struct sim_address address = { .family = family };
	if (family == AF_INET)
		memcpy(address.ip, mapped, 12);
	return address;
}

bool sim_address_same_host(const struct sim_address *a, const struct sim_address *b)
{
	return memcmp(a->ip, b->ip, 16) == 0;
}

bool sim_address_equal(const struct sim_address *a, const struct sim_address *b)
{
	if ((a->family == AF_UNIX) != (b->family == AF_UNIX))
		return false;
	if (a->family == AF_UNIX)
		return a->path_len == b->path_len && !memcmp(a->path, b->path, a->path_len);
	return a->port == b->port && sim_address_same_host(a, b);
}

void sim_address_loopback(struct sim_address *address, sa_family_t family)
{
	address->family = family;
	memset(address->ip, 0, 16);
	address->ip[15] = 1;
	if (family == AF_INET) {
		memcpy(address->ip, mapped, 12);
		address->ip[12] = 127;
	}
}

/* Kept for the process, because tests cut before a loop runs; one thread at a time simulates. */
static struct cut {
	uint32_t a, b;
} * cuts;
static size_t cut_count, cut_room;

static struct cut *cut_find(uint32_t a, uint32_t b)
{
	for (size_t i = 0; i < cut_count; i++)
		if ((cuts[i].a == a && cuts[i].b == b) || (cuts[i].a == b && cuts[i].b == a))
			return &cuts[i];
	return NULL;
}

void anyio_sim_partition(uint32_t ip4_a, uint32_t ip4_b, bool cut)
{
	struct cut *found = cut_find(ip4_a, ip4_b);
	if (found && !cut)
		*found = cuts[--cut_count];
	if (found || !cut)
		return;
	if (cut_count == cut_room) {
		cut_room = cut_room ? cut_room * 2 : 16;
		cuts = realloc(cuts, cut_room * sizeof(*cuts));
		if (!cuts)
			anyio_die(__FILE__, __LINE__, "no memory for a partition");
	}
	cuts[cut_count++] = (struct cut){ ip4_a, ip4_b };
}

bool sim_address_cut(const struct sim_address *a, const struct sim_address *b)
{
	if (a->family == AF_UNIX || memcmp(a->ip, mapped, 12) || memcmp(b->ip, mapped, 12))
		return false;
	uint32_t ip4_a, ip4_b;
	memcpy(&ip4_a, a->ip + 12, 4);
	memcpy(&ip4_b, b->ip + 12, 4);
	return cut_find(ip4_a, ip4_b) != NULL;
}

void sim_address_heal(void)
{
	free(cuts);
	cuts = NULL;
	cut_count = cut_room = 0;
}

/* Numbers stand for themselves; "localhost" and "node-N.sim" (127.0.0.N) are the only names. */
int64_t sim_net_resolve(const struct anyio_op *op)
{
	struct anyio_address *out = op->base;
	uint16_t port = (uint16_t)op->flags2;
	unsigned node;
	char text[32];
	int used = 0;
	if (op->len == 0)
		return -EINVAL;
	snprintf(text, sizeof(text), "%s", op->path);
	if (strcmp(text, "localhost") == 0)
		snprintf(text, sizeof(text), "%s", op->flags == AF_INET6 ? "::1" : "127.0.0.1");
	if (sscanf(text, "node-%u.sim%n", &node, &used) == 1 && used && !text[used] && node < 256)
		snprintf(text, sizeof(text), "127.0.0.%u", node);
	*out = (struct anyio_address){ 0 };
	if (op->flags != AF_INET6 && inet_pton(AF_INET, text, &out->ip4.sin_addr) == 1) {
		out->ip4.sin_family = AF_INET;
		out->ip4.sin_port = htons(port);
		out->len = sizeof(out->ip4);
		return 1;
	}
	if (op->flags != AF_INET && inet_pton(AF_INET6, op->path, &out->ip6.sin6_addr) == 1) {
		out->ip6.sin6_family = AF_INET6;
		out->ip6.sin6_port = htons(port);
		out->len = sizeof(out->ip6);
		return 1;
	}
	return -ENOENT;
}

/* The other way round: 127.0.0.1 and ::1 are "localhost", and services have numbers alone. */
int64_t sim_net_name(const struct anyio_op *op)
{
	struct sim_address address;
	char *host = op->base, *service = host + NI_MAXHOST;
	int rc = sim_address_read(&address, op->addr, op->addrlen);
	if (rc < 0)
		return rc;
	bool ip4 = sim_address_is_ip4(&address);
	struct sim_address here;
	sim_address_loopback(&here, ip4 ? AF_INET : AF_INET6);
	snprintf(service, NI_MAXSERV, "%u", (unsigned)address.port);
	inet_ntop(ip4 ? AF_INET : AF_INET6, address.ip + (ip4 ? 12 : 0), host, NI_MAXHOST);
	if (op->flags & NI_NUMERICHOST)
		return 0;
	if (sim_address_same_host(&address, &here))
		snprintf(host, NI_MAXHOST, "localhost");
	else if (ip4 && memcmp(address.ip + 12, (uint8_t[]){ 127, 0, 0 }, 3) == 0)
		snprintf(host, NI_MAXHOST, "node-%u.sim", (unsigned)address.ip[15]);
	else if (op->flags & NI_NAMEREQD)
		return -ENOENT;
	return 0;
}
