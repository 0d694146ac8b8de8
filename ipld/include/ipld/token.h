/*
 * The IPLD data model as a stream of tokens (https://ipld.io/docs/data-model): what the dag-cbor
 * and dag-json readers give and ipld/doc.h gathers.
 */
#ifndef IPLD_TOKEN_H
#define IPLD_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lists and maps open at once; a block nested deeper is refused with -EMSGSIZE. */
enum { IPLD_DEPTH_MAX = 512 };

enum ipld_kind {
	IPLD_NULL,
	IPLD_BOOL,
	IPLD_INT,
	IPLD_FLOAT,
	IPLD_STRING,
	IPLD_BYTES,
	IPLD_LINK,
	IPLD_LIST, /* opens a list: values follow, then IPLD_END */
	IPLD_MAP,  /* opens a map: IPLD_KEY and a value in turn, then IPLD_END */
	IPLD_KEY,  /* the next value's key */
	IPLD_END,  /* closes the innermost list or map */
};

struct ipld_token {
	enum ipld_kind kind;
	bool boolean;       /* IPLD_BOOL */
	bool negative;      /* IPLD_INT: the value is magnitude, or -1 - magnitude if negative */
	uint64_t magnitude; /* IPLD_INT */
	double real;        /* IPLD_FLOAT, always finite */
	/* IPLD_STRING and IPLD_KEY (valid UTF-8), IPLD_BYTES, IPLD_LINK (a binary CID that decodes):
	 * points into the reader's input or scratch */
	const uint8_t *data;
	size_t len; /* bytes at data */
};

#ifdef __cplusplus
}
#endif
#endif
