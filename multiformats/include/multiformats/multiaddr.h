/*
 * Multiaddrs (https://github.com/multiformats/multiaddr): self-describing addresses, a chain of
 * protocols with their values, "/ip4/192.0.2.1/tcp/4001/p2p/12D3...".
 *
 * A struct mf_multiaddr is a plain value holding the binary form, and it is always valid: whatever
 * made it has checked every part. Pure functions; any thread; nothing is allocated; names are not
 * resolved.
 */
#ifndef MULTIFORMATS_MULTIADDR_H
#define MULTIFORMATS_MULTIADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <multiformats/export.h>
#include <multiformats/peer_id.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Protocol codes (multicodec table, tag "multiaddr"). */
enum mf_protocol {
	MF_P_IP4 = 0x04,
	MF_P_TCP = 0x06,
	MF_P_DCCP = 0x21,
	MF_P_IP6 = 0x29,
	MF_P_IP6ZONE = 0x2a,
	MF_P_IPCIDR = 0x2b,
	MF_P_DNS = 0x35,
	MF_P_DNS4 = 0x36,
	MF_P_DNS6 = 0x37,
	MF_P_DNSADDR = 0x38,
	MF_P_SCTP = 0x84,
	MF_P_UDP = 0x0111,
	MF_P_P2P_WEBRTC_STAR = 0x0113,
	MF_P_P2P_WEBRTC_DIRECT = 0x0114,
	MF_P_P2P_STARDUST = 0x0115,
	MF_P_WEBRTC_DIRECT = 0x0118,
	MF_P_WEBRTC = 0x0119,
	MF_P_P2P_CIRCUIT = 0x0122,
	MF_P_UDT = 0x012d,
	MF_P_UTP = 0x012e,
	MF_P_UNIX = 0x0190,
	MF_P_P2P = 0x01a5,
	MF_P_HTTPS = 0x01bb,
	MF_P_ONION = 0x01bc,
	MF_P_ONION3 = 0x01bd,
	MF_P_GARLIC64 = 0x01be,
	MF_P_GARLIC32 = 0x01bf,
	MF_P_TLS = 0x01c0,
	MF_P_SNI = 0x01c1,
	MF_P_NOISE = 0x01c6,
	MF_P_QUIC = 0x01cc,
	MF_P_QUIC_V1 = 0x01cd,
	MF_P_WEBTRANSPORT = 0x01d1,
	MF_P_CERTHASH = 0x01d2,
	MF_P_WS = 0x01dd,
	MF_P_WSS = 0x01de,
	MF_P_P2P_WEBSOCKET_STAR = 0x01df,
	MF_P_HTTP = 0x01e0,
	MF_P_HTTP_PATH = 0x01e1,
	MF_P_MEMORY = 0x0309,
	MF_P_PLAINTEXTV2 = 0x706c61,
};

enum {
	MF_MULTIADDR_BYTES_MAX = 510, /* longest binary form; longer ones are refused */
	MF_MULTIADDR_PARTS_MAX = 32,  /* most parts; more are refused */
	MF_MULTIADDR_TEXT_MAX = 2048, /* room for any text form with its NUL */
};

struct mf_multiaddr {
	uint16_t len; /* bytes used; 0 is the empty address, "/" */
	uint8_t bytes[MF_MULTIADDR_BYTES_MAX];
};

/* Reads a binary address, which must be all of data. Returns 0; -EINVAL for malformed,
 * -EPROTONOSUPPORT for a protocol not in the table above (its length cannot be known), -E2BIG for
 * one over MF_MULTIADDR_BYTES_MAX or MF_MULTIADDR_PARTS_MAX. */
MF_API int mf_multiaddr_decode(struct mf_multiaddr *addr, const uint8_t *data, size_t len);

/* Reads the text form. "ipfs" is an old name of "p2p"; slashes at the end are ignored; unix takes
 * the whole rest as its path. Returns as mf_multiaddr_decode does. */
MF_API int mf_multiaddr_parse(struct mf_multiaddr *addr, const char *text, size_t len);

/* Writes the canonical text form with its NUL. Returns the length without it, or -ENOSPC. */
MF_API ssize_t mf_multiaddr_format(const struct mf_multiaddr *addr, char *out, size_t cap);

/* One protocol with its value; points into the address. */
struct mf_multiaddr_part {
	uint32_t code;
	const uint8_t *value; /* the binary value, without its length prefix */
	size_t len;           /* bytes; 0 for protocols without a value */
	size_t start;         /* where in the address the part begins, bytes */
};

/* Steps through the parts: start with *at = 0. Returns false after the last one. */
MF_API bool mf_multiaddr_next(
	const struct mf_multiaddr *addr, size_t *at, struct mf_multiaddr_part *part);

/* Finds the first (last) part of that protocol. part may be NULL. */
MF_API bool mf_multiaddr_find(
	const struct mf_multiaddr *addr, uint32_t code, struct mf_multiaddr_part *part);
MF_API bool mf_multiaddr_find_last(
	const struct mf_multiaddr *addr, uint32_t code, struct mf_multiaddr_part *part);

/* Appends a part; value is the binary value (ports big-endian). Returns 0, or as
 * mf_multiaddr_decode does, and then addr is as before. */
MF_API int mf_multiaddr_append(
	struct mf_multiaddr *addr, uint32_t code, const void *value, size_t len);

/* Appends all of inner (encapsulates it). Returns 0, -EINVAL when addr ends in a unix path, which
 * takes all that follows it, or -E2BIG; then addr is as before. */
MF_API int mf_multiaddr_join(struct mf_multiaddr *addr, const struct mf_multiaddr *inner);

/* Cuts off the last part of that protocol and everything after it (decapsulates it). Returns
 * whether there was one. */
MF_API bool mf_multiaddr_cut(struct mf_multiaddr *addr, uint32_t code);

/* The peer the address ends at: the id of its last part. Returns 0, or -ENOENT when the last part
 * is not p2p. */
MF_API int mf_multiaddr_peer(const struct mf_multiaddr *addr, struct mf_peer_id *id);

/* Appends /p2p/ID. Returns as mf_multiaddr_append does. */
MF_API int mf_multiaddr_add_peer(struct mf_multiaddr *addr, const struct mf_peer_id *id);

/* The socket address the multiaddr begins with: ip4 or ip6 (with ip6zone, if its zone is a number)
 * and then tcp or udp. What follows is not looked at. Returns MF_P_TCP or MF_P_UDP;
 * -EAFNOSUPPORT for any other beginning. */
MF_API int mf_multiaddr_to_sockaddr(
	const struct mf_multiaddr *addr, struct sockaddr_storage *out, socklen_t *len);

/* The multiaddr of an AF_INET or AF_INET6 address (IPv4-mapped ones become ip4) and a transport,
 * MF_P_TCP or MF_P_UDP. Returns 0, -EAFNOSUPPORT, or -EINVAL for another transport. */
MF_API int mf_multiaddr_from_sockaddr(
	struct mf_multiaddr *addr, const struct sockaddr *from, uint32_t transport);

MF_API bool mf_multiaddr_equal(const struct mf_multiaddr *a, const struct mf_multiaddr *b);

/* Name of a protocol, a constant; NULL when it is not known. */
MF_API const char *mf_protocol_name(uint32_t code);

#ifdef __cplusplus
}
#endif
#endif
