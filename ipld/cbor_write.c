#include "cbor_write.h"

#include <string.h>

#include "doc.h"

void cbor_put_head(struct mf_pb_writer *out, enum cbor_major major, uint64_t arg)
{
	uint8_t head[9];
	unsigned size = 0; /* bytes of argument after the first: 0, 1, 2, 4 or 8 */

	head[0] = (uint8_t)(major << 5 | arg);
	if (arg >= 24) {
		int log = arg <= 0xff ? 0 : arg <= 0xffff ? 1 : arg <= 0xffffffff ? 2 : 3;

		head[0] = (uint8_t)(major << 5 | (24 + log));
		size = 1u << log;
	}
	for (unsigned i = 0; i < size; i++)
		head[1 + i] = (uint8_t)(arg >> (8 * (size - 1 - i)));
	mf_pb_put_raw(out, head, 1 + size);
}

void cbor_put_text(struct mf_pb_writer *out, const void *text, size_t len)
{
	cbor_put_head(out, CBOR_TEXT, len);
	mf_pb_put_raw(out, text, len);
}

void cbor_put_link(struct mf_pb_writer *out, const void *cid, size_t len)
{
	cbor_put_head(out, CBOR_TAG, 42);
	cbor_put_head(out, CBOR_BYTES, len + 1);
	mf_pb_put_raw(out, "", 1);
	mf_pb_put_raw(out, cid, len);
}

static void put_float(struct mf_pb_writer *out, double real)
{
	uint8_t bytes[9] = { CBOR_SIMPLE << 5 | 27 };
	uint64_t bits;

	memcpy(&bits, &real, sizeof(bits));
	for (int i = 0; i < 8; i++)
		bytes[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
	mf_pb_put_raw(out, bytes, sizeof(bytes));
}

static void put_node(struct mf_pb_writer *out, const struct ipld_node *node)
{
	switch ((enum ipld_kind)node->kind) {
	case IPLD_NULL: cbor_put_head(out, CBOR_SIMPLE, 22); break;
	case IPLD_BOOL: cbor_put_head(out, CBOR_SIMPLE, node->flag ? 21 : 20); break;
	case IPLD_INT:
		cbor_put_head(out, node->flag ? CBOR_NEGATIVE : CBOR_UNSIGNED, node->magnitude);
		break;
	case IPLD_FLOAT: put_float(out, node->real); break;
	case IPLD_STRING:
	case IPLD_KEY: cbor_put_text(out, node->data, node->len); break;
	case IPLD_BYTES:
		cbor_put_head(out, CBOR_BYTES, node->len);
		mf_pb_put_raw(out, node->data, node->len);
		break;
	case IPLD_LINK: cbor_put_link(out, node->data, node->len); break;
	case IPLD_LIST: cbor_put_head(out, CBOR_ARRAY, node->len); break;
	case IPLD_MAP: cbor_put_head(out, CBOR_MAP, node->len); break;
	case IPLD_END: break;
	}
}

int doc_encode_cbor(const struct ipld_doc *doc, struct mf_pb_writer *out)
{
	struct doc_walk walk = { .doc = doc };

	while (doc_walk_next(&walk)) {
		if (!walk.closing)
			put_node(out, &doc->nodes[walk.at]);
	}
	return 0;
}
