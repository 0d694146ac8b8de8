/*
 * The binary form: every part is a protocol code, for variable values a length, and the value.
 * part_read is the only place that takes bytes apart; an address is only ever made of parts it has
 * accepted, so the readers of a struct mf_multiaddr need no errors.
 */
#include <multiformats/multiaddr.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/varint.h>

#include "protocol.h"

static const struct protocol protocols[] = {
	{ MF_P_IP4, VALUE_IP4, "ip4" },
	{ MF_P_TCP, VALUE_PORT, "tcp" },
	{ MF_P_IP6, VALUE_IP6, "ip6" },
	{ MF_P_UDP, VALUE_PORT, "udp" },
	{ MF_P_P2P, VALUE_PEER, "p2p" },
	{ MF_P_QUIC_V1, VALUE_NONE, "quic-v1" },
	{ MF_P_QUIC, VALUE_NONE, "quic" },
	{ MF_P_P2P_CIRCUIT, VALUE_NONE, "p2p-circuit" },
	{ MF_P_WEBTRANSPORT, VALUE_NONE, "webtransport" },
	{ MF_P_CERTHASH, VALUE_CERTHASH, "certhash" },
	{ MF_P_WEBRTC_DIRECT, VALUE_NONE, "webrtc-direct" },
	{ MF_P_WEBRTC, VALUE_NONE, "webrtc" },
	{ MF_P_DNS, VALUE_NAME, "dns" },
	{ MF_P_DNS4, VALUE_NAME, "dns4" },
	{ MF_P_DNS6, VALUE_NAME, "dns6" },
	{ MF_P_DNSADDR, VALUE_NAME, "dnsaddr" },
	{ MF_P_TLS, VALUE_NONE, "tls" },
	{ MF_P_SNI, VALUE_NAME, "sni" },
	{ MF_P_NOISE, VALUE_NONE, "noise" },
	{ MF_P_PLAINTEXTV2, VALUE_NONE, "plaintextv2" },
	{ MF_P_WS, VALUE_NONE, "ws" },
	{ MF_P_WSS, VALUE_NONE, "wss" },
	{ MF_P_HTTP, VALUE_NONE, "http" },
	{ MF_P_HTTPS, VALUE_NONE, "https" },
	{ MF_P_HTTP_PATH, VALUE_HTTP_PATH, "http-path" },
	{ MF_P_UNIX, VALUE_PATH, "unix" },
	{ MF_P_MEMORY, VALUE_U64, "memory" },
	{ MF_P_IP6ZONE, VALUE_NAME, "ip6zone" },
	{ MF_P_IPCIDR, VALUE_PREFIX, "ipcidr" },
	{ MF_P_DCCP, VALUE_PORT, "dccp" },
	{ MF_P_SCTP, VALUE_PORT, "sctp" },
	{ MF_P_UDT, VALUE_NONE, "udt" },
	{ MF_P_UTP, VALUE_NONE, "utp" },
	{ MF_P_ONION, VALUE_ONION, "onion" },
	{ MF_P_ONION3, VALUE_ONION3, "onion3" },
	{ MF_P_GARLIC64, VALUE_GARLIC64, "garlic64" },
	{ MF_P_GARLIC32, VALUE_GARLIC32, "garlic32" },
	{ MF_P_P2P_WEBRTC_STAR, VALUE_NONE, "p2p-webrtc-star" },
	{ MF_P_P2P_WEBRTC_DIRECT, VALUE_NONE, "p2p-webrtc-direct" },
	{ MF_P_P2P_STARDUST, VALUE_NONE, "p2p-stardust" },
	{ MF_P_P2P_WEBSOCKET_STAR, VALUE_NONE, "p2p-websocket-star" },
	/* Found by its old name only: the code leads to the first entry. */
	{ MF_P_P2P, VALUE_PEER, "ipfs" },
};

enum { PROTOCOLS = sizeof(protocols) / sizeof(*protocols) };

const struct protocol *protocol_by_code(uint32_t code)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (protocols[i].code == code)
			return &protocols[i];
	return NULL;
}

const struct protocol *protocol_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (strlen(protocols[i].name) == len && memcmp(protocols[i].name, name, len) == 0)
			return &protocols[i];
	return NULL;
}

const char *mf_protocol_name(uint32_t code)
{
	const struct protocol *protocol = protocol_by_code(code);

	return protocol ? protocol->name : NULL;
}

/* Reads one part; its start is left to the caller. Returns the bytes it took or an error. */
static ssize_t part_read(struct mf_multiaddr_part *part, const uint8_t *data, size_t len)
{
	uint64_t code, size;
	int n = mf_varint_decode(data, len, &code);

	if (n < 0)
		return -EINVAL;
	const struct protocol *protocol =
		code <= UINT32_MAX ? protocol_by_code((uint32_t)code) : NULL;
	if (!protocol)
		return -EPROTONOSUPPORT;
	size_t head = (size_t)n;
	if (protocol->kind < VALUE_VARIABLE) {
		size = value_fixed_size(protocol->kind);
	} else {
		n = mf_varint_decode(data + head, len - head, &size);
		if (n < 0)
			return -EINVAL;
		head += (size_t)n;
	}
	if (size > len - head || !value_valid(protocol->kind, data + head, (size_t)size))
		return -EINVAL;
	part->code = protocol->code;
	part->value = data + head;
	part->len = (size_t)size;
	return (ssize_t)(head + size);
}

bool mf_multiaddr_next(const struct mf_multiaddr *addr, size_t *at, struct mf_multiaddr_part *part)
{
	if (*at >= addr->len)
		return false;
	ssize_t n = part_read(part, addr->bytes + *at, addr->len - *at);
	if (n < 0)
		return false;
	part->start = *at;
	*at += (size_t)n;
	return true;
}

/* May so many more parts follow? A path takes the rest of the text, so nothing could follow it and
 * be read back; and the bound on parts bounds the text. */
static int may_follow(const struct mf_multiaddr *addr, size_t more)
{
	struct mf_multiaddr_part part = { 0 };
	size_t parts = more;

	for (size_t at = 0; mf_multiaddr_next(addr, &at, &part);)
		parts++;
	if (parts > MF_MULTIADDR_PARTS_MAX)
		return -E2BIG;
	return more > 0 && part.code == MF_P_UNIX ? -EINVAL : 0;
}

int mf_multiaddr_decode(struct mf_multiaddr *addr, const uint8_t *data, size_t len)
{
	struct mf_multiaddr_part part = { 0 };

	if (len > MF_MULTIADDR_BYTES_MAX)
		return -E2BIG;
	for (size_t at = 0, parts = 0; at < len; parts++) {
		if (parts == MF_MULTIADDR_PARTS_MAX)
			return -E2BIG;
		ssize_t n =
			part.code == MF_P_UNIX ? -EINVAL : part_read(&part, data + at, len - at);
		if (n < 0)
			return (int)n;
		at += (size_t)n;
	}
	addr->len = (uint16_t)len;
	if (len > 0)
		memcpy(addr->bytes, data, len);
	return 0;
}

bool mf_multiaddr_find(
	const struct mf_multiaddr *addr, uint32_t code, struct mf_multiaddr_part *part)
{
	struct mf_multiaddr_part each;

	for (size_t at = 0; mf_multiaddr_next(addr, &at, &each);) {
		if (each.code == code) {
			if (part)
				*part = each;
			return true;
		}
	}
	return false;
}

bool mf_multiaddr_find_last(
	const struct mf_multiaddr *addr, uint32_t code, struct mf_multiaddr_part *part)
{
	struct mf_multiaddr_part each;
	bool found = false;

	for (size_t at = 0; mf_multiaddr_next(addr, &at, &each);) {
		if (each.code == code) {
			if (part)
				*part = each;
			found = true;
		}
	}
	return found;
}

int mf_multiaddr_append(struct mf_multiaddr *addr, uint32_t code, const void *value, size_t len)
{
	uint8_t head[2 * MF_VARINT_WRITE_MAX];
	const struct protocol *protocol = protocol_by_code(code);

	if (!protocol)
		return -EPROTONOSUPPORT;
	bool fixed = protocol->kind < VALUE_VARIABLE;
	if ((fixed && len != value_fixed_size(protocol->kind)) ||
		!value_valid(protocol->kind, value, len))
		return -EINVAL;
	int rc = may_follow(addr, 1);
	if (rc < 0)
		return rc;
	size_t n = (size_t)mf_varint_encode(code, head);
	if (!fixed)
		n += (size_t)mf_varint_encode(len, head + n);
	size_t room = MF_MULTIADDR_BYTES_MAX - (size_t)addr->len;
	if (n > room || len > room - n)
		return -E2BIG;
	memcpy(addr->bytes + addr->len, head, n);
	if (len > 0)
		memcpy(addr->bytes + addr->len + n, value, len);
	addr->len = (uint16_t)(addr->len + n + len);
	return 0;
}

int mf_multiaddr_join(struct mf_multiaddr *addr, const struct mf_multiaddr *inner)
{
	size_t parts = 0;
	struct mf_multiaddr_part part;

	for (size_t at = 0; mf_multiaddr_next(inner, &at, &part);)
		parts++;
	int rc = may_follow(addr, parts);
	if (rc < 0)
		return rc;
	if (inner->len > MF_MULTIADDR_BYTES_MAX - addr->len)
		return -E2BIG;
	memmove(addr->bytes + addr->len, inner->bytes, inner->len);
	addr->len = (uint16_t)(addr->len + inner->len);
	return 0;
}

bool mf_multiaddr_cut(struct mf_multiaddr *addr, uint32_t code)
{
	struct mf_multiaddr_part part;

	if (!mf_multiaddr_find_last(addr, code, &part))
		return false;
	addr->len = (uint16_t)part.start;
	return true;
}

int mf_multiaddr_peer(const struct mf_multiaddr *addr, struct mf_peer_id *id)
{
	struct mf_multiaddr_part part = { 0 };

	for (size_t at = 0; mf_multiaddr_next(addr, &at, &part);)
		continue;
	if (part.code != MF_P_P2P)
		return -ENOENT;
	return mf_peer_id_decode(id, part.value, part.len);
}

int mf_multiaddr_add_peer(struct mf_multiaddr *addr, const struct mf_peer_id *id)
{
	return mf_multiaddr_append(addr, MF_P_P2P, id->bytes, id->len);
}

bool mf_multiaddr_equal(const struct mf_multiaddr *a, const struct mf_multiaddr *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* A zone as a number; 0, which no interface has, for a name: names are the system's to look up. */
static uint32_t zone_number(const struct mf_multiaddr_part *zone)
{
	uint64_t number = 0;

	for (size_t i = 0; i < zone->len; i++) {
		if (zone->value[i] < '0' || zone->value[i] > '9' || number > UINT32_MAX / 10)
			return 0;
		number = number * 10 + (uint64_t)(zone->value[i] - '0');
	}
	return number <= UINT32_MAX ? (uint32_t)number : 0;
}

int mf_multiaddr_to_sockaddr(
	const struct mf_multiaddr *addr, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct mf_multiaddr_part ip, port;
	uint32_t zone = 0;
	size_t at = 0;

	if (!mf_multiaddr_next(addr, &at, &ip))
		return -EAFNOSUPPORT;
	bool zoned = ip.code == MF_P_IP6ZONE;
	if (zoned) {
		zone = zone_number(&ip);
		if (zone == 0 || !mf_multiaddr_next(addr, &at, &ip) || ip.code != MF_P_IP6)
			return -EAFNOSUPPORT;
	}
	if ((ip.code != MF_P_IP4 && ip.code != MF_P_IP6) || !mf_multiaddr_next(addr, &at, &port) ||
		(port.code != MF_P_TCP && port.code != MF_P_UDP))
		return -EAFNOSUPPORT;
	memset(out, 0, sizeof(*out));
	if (ip.code == MF_P_IP4) {
		in4->sin_family = AF_INET;
		memcpy(&in4->sin_addr, ip.value, sizeof(in4->sin_addr));
		memcpy(&in4->sin_port, port.value, sizeof(in4->sin_port));
		*len = sizeof(*in4);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_scope_id = zone;
		memcpy(&in6->sin6_addr, ip.value, sizeof(in6->sin6_addr));
		memcpy(&in6->sin6_port, port.value, sizeof(in6->sin6_port));
		*len = sizeof(*in6);
	}
	return (int)port.code;
}

/* The number of an interface, as an ip6zone. */
static void append_zone(struct mf_multiaddr *addr, uint32_t scope)
{
	char digits[10];
	size_t at = sizeof(digits);

	for (; scope > 0; scope /= 10)
		digits[--at] = (char)('0' + scope % 10);
	if (at < sizeof(digits))
		mf_multiaddr_append(addr, MF_P_IP6ZONE, digits + at, sizeof(digits) - at);
}

int mf_multiaddr_from_sockaddr(
	struct mf_multiaddr *addr, const struct sockaddr *from, uint32_t transport)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)from;

	if (transport != MF_P_TCP && transport != MF_P_UDP)
		return -EINVAL;
	addr->len = 0;
	if (from->sa_family == AF_INET) {
		mf_multiaddr_append(addr, MF_P_IP4, &in4->sin_addr, 4);
		return mf_multiaddr_append(addr, transport, &in4->sin_port, 2);
	}
	if (from->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		mf_multiaddr_append(addr, MF_P_IP4, in6->sin6_addr.s6_addr + 12, 4);
	} else {
		append_zone(addr, in6->sin6_scope_id);
		mf_multiaddr_append(addr, MF_P_IP6, &in6->sin6_addr, 16);
	}
	return mf_multiaddr_append(addr, transport, &in6->sin6_port, 2);
}
