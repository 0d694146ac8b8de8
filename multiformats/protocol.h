/* The multiaddr protocol table and the text forms of its values. */
#ifndef MULTIFORMATS_PRIVATE_PROTOCOL_H
#define MULTIFORMATS_PRIVATE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a protocol's value is; tells its binary length and its text form. */
enum value_kind {
	VALUE_NONE,
	VALUE_IP4,
	VALUE_IP6,
	VALUE_PORT,                  /* 2 bytes, big-endian */
	VALUE_PREFIX,                /* 1 byte, bits of a network prefix */
	VALUE_U64,                   /* 8 bytes, big-endian */
	VALUE_ONION,                 /* 10 bytes in base32, and a port */
	VALUE_ONION3,                /* 35 bytes in base32, and a port */
	VALUE_VARIABLE,              /* kinds from here on have a length prefix */
	VALUE_NAME = VALUE_VARIABLE, /* text without a slash */
	VALUE_PATH,                  /* a file's path: the whole rest of the text */
	VALUE_HTTP_PATH,             /* percent-encoded in text */
	VALUE_PEER,                  /* a peer id */
	VALUE_CERTHASH,              /* a multihash, in multibase */
	VALUE_GARLIC64,
	VALUE_GARLIC32,
};

struct protocol {
	uint32_t code;
	enum value_kind kind;
	const char *name;
};

const struct protocol *protocol_by_code(uint32_t code);
const struct protocol *protocol_by_name(const char *name, size_t len);

/* Binary length of a kind that has no length prefix. */
size_t value_fixed_size(enum value_kind kind);

/* Are these bytes a value of that kind? For fixed kinds the length must be right already. */
bool value_valid(enum value_kind kind, const uint8_t *value, size_t len);

/* Text to binary, bytes written or a negative error; and back, with a NUL, characters written. */
ssize_t value_parse(enum value_kind kind, const char *text, size_t len, uint8_t *out, size_t cap);
ssize_t value_format(enum value_kind kind, const uint8_t *value, size_t len, char *out, size_t cap);

#endif
