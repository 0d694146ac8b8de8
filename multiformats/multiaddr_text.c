/*
 * The text form of addresses and of their values. A value's text never holds a slash, but for a
 * unix path, which is why it must be last.
 */
#include <multiformats/multiaddr.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <multiformats/multibase.h>
#include <multiformats/multihash.h>

#include "protocol.h"

enum {
	ONION_BYTES = 10,
	ONION3_BYTES = 35,
	GARLIC64_MIN = 386,
	GARLIC32_HASH = 32, /* exactly, or from GARLIC32_MIN up */
	GARLIC32_MIN = 35,
	/* Longest text of a value but for paths, which are not copied: a garlic64 address. */
	VALUE_TEXT_MAX = MF_MULTIADDR_BYTES_MAX * 3,
};

size_t value_fixed_size(enum value_kind kind)
{
	switch (kind) {
	case VALUE_PREFIX: return 1;
	case VALUE_PORT: return 2;
	case VALUE_IP4: return 4;
	case VALUE_U64: return 8;
	case VALUE_IP6: return 16;
	case VALUE_ONION: return ONION_BYTES + 2;
	case VALUE_ONION3: return ONION3_BYTES + 2;
	default: return 0;
	}
}

static bool is_multihash(const uint8_t *value, size_t len)
{
	struct mf_multihash hash;
	ssize_t n = mf_multihash_decode(&hash, value, len);

	return n >= 0 && (size_t)n == len;
}

bool value_valid(enum value_kind kind, const uint8_t *value, size_t len)
{
	struct mf_peer_id id;

	switch (kind) {
	case VALUE_NAME: return len > 0 && !memchr(value, '/', len) && !memchr(value, 0, len);
	case VALUE_PATH:
		return len > 1 && value[0] == '/' && value[len - 1] != '/' &&
			!memchr(value, 0, len);
	case VALUE_HTTP_PATH: return len > 0;
	case VALUE_PEER: return mf_peer_id_decode(&id, value, len) == 0;
	case VALUE_CERTHASH: return is_multihash(value, len);
	case VALUE_GARLIC64: return len >= GARLIC64_MIN;
	case VALUE_GARLIC32: return len == GARLIC32_HASH || len >= GARLIC32_MIN;
	case VALUE_ONION:
	case VALUE_ONION3: return value[len - 2] != 0 || value[len - 1] != 0;
	default: return true;
	}
}

/* A decimal number without sign, written big-endian into size bytes. */
static ssize_t parse_number(const char *text, size_t len, uint8_t *out, size_t size)
{
	uint64_t max = size == 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
	uint64_t number = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(uint8_t)text[i] - '0';
		if (digit > 9 || number > (max - digit) / 10)
			return -EINVAL;
		number = number * 10 + digit;
	}
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
	return (ssize_t)size;
}

static uint64_t get_number(const uint8_t *value, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | value[i];
	return number;
}

static ssize_t parse_ip(int family, const char *text, size_t len, uint8_t *out, size_t size)
{
	char copy[INET6_ADDRSTRLEN];

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return strlen(copy) == len && inet_pton(family, copy, out) == 1 ? (ssize_t)size : -EINVAL;
}

/* "base32:port" */
static ssize_t parse_onion(const char *text, size_t len, uint8_t *out, size_t host_size)
{
	const char *colon = memchr(text, ':', len);

	if (!colon)
		return -EINVAL;
	size_t host = (size_t)(colon - text);
	if (mf_base_decode(MF_BASE32, text, host, out, host_size) != (ssize_t)host_size)
		return -EINVAL;
	if (parse_number(colon + 1, len - host - 1, out + host_size, 2) < 0)
		return -EINVAL;
	return (ssize_t)host_size + 2;
}

/* I2P writes base64 with - and ~ for the last two digits. */
static ssize_t parse_garlic64(const char *text, size_t len, uint8_t *out, size_t cap)
{
	char copy[VALUE_TEXT_MAX];

	if (len > sizeof(copy))
		return -E2BIG;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '+' || text[i] == '/')
			return -EINVAL;
		copy[i] = text[i] == '-' ? '+' : text[i] == '~' ? '/' : text[i];
	}
	return mf_base_decode(MF_BASE64_PAD, copy, len, out, cap);
}

static ssize_t format_garlic64(const uint8_t *value, size_t len, char *out, size_t cap)
{
	ssize_t n = mf_base_encode(MF_BASE64_PAD, value, len, out, cap);

	for (ssize_t i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '~' : out[i];
	return n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static ssize_t parse_percent(const char *text, size_t len, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int byte = (uint8_t)text[i];
		if (text[i] == '%') {
			if (len - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
				return -EINVAL;
			byte = hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]);
			i += 2;
		}
		if (n == cap)
			return -E2BIG;
		out[n++] = (uint8_t)byte;
	}
	return (ssize_t)n;
}

static bool unreserved(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c && strchr("-._~", c));
}

static ssize_t format_percent(const uint8_t *value, size_t len, char *out, size_t cap)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (cap - n < 4)
			return -ENOSPC;
		if (unreserved(value[i])) {
			out[n++] = (char)value[i];
		} else {
			out[n++] = '%';
			out[n++] = hex[value[i] >> 4];
			out[n++] = hex[value[i] & 15];
		}
	}
	out[n] = '\0';
	return (ssize_t)n;
}

static ssize_t parse_text(const char *text, size_t len, uint8_t *out, size_t cap)
{
	if (len > cap)
		return -E2BIG;
	memcpy(out, text, len);
	return (ssize_t)len;
}

static ssize_t parse_peer(const char *text, size_t len, uint8_t *out, size_t cap)
{
	struct mf_peer_id id;

	if (mf_peer_id_parse(&id, text, len) < 0)
		return -EINVAL;
	return parse_text((const char *)id.bytes, id.len, out, cap);
}

ssize_t value_parse(enum value_kind kind, const char *text, size_t len, uint8_t *out, size_t cap)
{
	switch (kind) {
	case VALUE_NONE: return 0;
	case VALUE_IP4: return parse_ip(AF_INET, text, len, out, 4);
	case VALUE_IP6: return parse_ip(AF_INET6, text, len, out, 16);
	case VALUE_PORT: return parse_number(text, len, out, 2);
	case VALUE_PREFIX: return parse_number(text, len, out, 1);
	case VALUE_U64: return parse_number(text, len, out, 8);
	case VALUE_ONION: return parse_onion(text, len, out, ONION_BYTES);
	case VALUE_ONION3: return parse_onion(text, len, out, ONION3_BYTES);
	case VALUE_NAME:
	case VALUE_PATH: return parse_text(text, len, out, cap);
	case VALUE_HTTP_PATH: return parse_percent(text, len, out, cap);
	case VALUE_PEER: return parse_peer(text, len, out, cap);
	case VALUE_CERTHASH: return mf_multibase_decode(NULL, text, len, out, cap);
	case VALUE_GARLIC64: return parse_garlic64(text, len, out, cap);
	case VALUE_GARLIC32: return mf_base_decode(MF_BASE32, text, len, out, cap);
	}
	return -EINVAL;
}

static ssize_t format_ip(int family, const uint8_t *value, char *out, size_t cap)
{
	return inet_ntop(family, value, out, (socklen_t)cap) ? (ssize_t)strlen(out) : -ENOSPC;
}

static ssize_t format_onion(const uint8_t *value, size_t len, char *out, size_t cap)
{
	ssize_t n = mf_base_encode(MF_BASE32, value, len - 2, out, cap);

	if (n < 0 || cap - (size_t)n < sizeof(":65535"))
		return -ENOSPC;
	return n + sprintf(out + n, ":%u", (unsigned)get_number(value + len - 2, 2));
}

static ssize_t format_text(const uint8_t *value, size_t len, char *out, size_t cap)
{
	if (len >= cap)
		return -ENOSPC;
	memcpy(out, value, len);
	out[len] = '\0';
	return (ssize_t)len;
}

ssize_t value_format(enum value_kind kind, const uint8_t *value, size_t len, char *out, size_t cap)
{
	int n;

	switch (kind) {
	case VALUE_NONE: break;
	case VALUE_IP4: return format_ip(AF_INET, value, out, cap);
	case VALUE_IP6: return format_ip(AF_INET6, value, out, cap);
	case VALUE_PORT:
	case VALUE_PREFIX:
	case VALUE_U64:
		n = snprintf(out, cap, "%llu", (unsigned long long)get_number(value, len));
		return (size_t)n < cap ? n : -ENOSPC;
	case VALUE_ONION:
	case VALUE_ONION3: return format_onion(value, len, out, cap);
	case VALUE_NAME:
	case VALUE_PATH: return format_text(value, len, out, cap);
	case VALUE_HTTP_PATH: return format_percent(value, len, out, cap);
	case VALUE_PEER: return mf_base_encode(MF_BASE58_BTC, value, len, out, cap);
	case VALUE_CERTHASH: return mf_multibase_encode(MF_BASE64_URL, value, len, out, cap);
	case VALUE_GARLIC64: return format_garlic64(value, len, out, cap);
	case VALUE_GARLIC32: return mf_base_encode(MF_BASE32, value, len, out, cap);
	}
	return -EINVAL;
}

/* The characters up to the next slash or the end. */
static size_t word(const char *text, size_t len)
{
	const char *slash = memchr(text, '/', len);

	return slash ? (size_t)(slash - text) : len;
}

/* Appends the part at the front of text, which begins with a slash. Returns what it took. */
static ssize_t parse_part(struct mf_multiaddr *addr, const char *text, size_t len)
{
	uint8_t value[MF_MULTIADDR_BYTES_MAX];
	size_t at = 1, size = word(text + 1, len - 1);
	const struct protocol *protocol = protocol_by_name(text + at, size);
	ssize_t n = 0;

	if (!protocol)
		return size == 0 ? -EINVAL : -EPROTONOSUPPORT;
	at += size;
	if (protocol->kind != VALUE_NONE) {
		/* A path keeps its leading slash; other values lie between slashes. */
		bool path = protocol->kind == VALUE_PATH;
		at += path ? 0 : 1;
		if (at >= len)
			return -EINVAL;
		size = path ? len - at : word(text + at, len - at);
		n = value_parse(protocol->kind, text + at, size, value, sizeof(value));
		if (n < 0)
			return n == -ENOSPC ? -E2BIG : n;
		at += size;
	}
	int rc = mf_multiaddr_append(addr, protocol->code, value, (size_t)n);
	return rc < 0 ? rc : (ssize_t)at;
}

int mf_multiaddr_parse(struct mf_multiaddr *addr, const char *text, size_t len)
{
	struct mf_multiaddr result = { .len = 0 };

	if (len == 0 || text[0] != '/')
		return -EINVAL;
	while (len > 0 && text[len - 1] == '/')
		len--;
	for (size_t at = 0; at < len;) {
		ssize_t n = parse_part(&result, text + at, len - at);
		if (n < 0)
			return (int)n;
		at += (size_t)n;
	}
	*addr = result;
	return 0;
}

static ssize_t format_part(const struct mf_multiaddr_part *part, char *out, size_t cap)
{
	const struct protocol *protocol = protocol_by_code(part->code);
	int head = snprintf(out, cap, "/%s%s", protocol->name,
		protocol->kind == VALUE_NONE || protocol->kind == VALUE_PATH ? "" : "/");

	if ((size_t)head >= cap)
		return -ENOSPC;
	if (protocol->kind == VALUE_NONE)
		return head;
	ssize_t n = value_format(protocol->kind, part->value, part->len, out + head, cap - head);
	return n < 0 ? n : head + n;
}

ssize_t mf_multiaddr_format(const struct mf_multiaddr *addr, char *out, size_t cap)
{
	struct mf_multiaddr_part part;
	size_t used = 0;

	if (cap < 2)
		return -ENOSPC;
	if (addr->len == 0) {
		memcpy(out, "/", 2);
		return 1;
	}
	for (size_t at = 0; mf_multiaddr_next(addr, &at, &part);) {
		ssize_t n = format_part(&part, out + used, cap - used);
		if (n < 0)
			return n;
		used += (size_t)n;
	}
	return (ssize_t)used;
}
