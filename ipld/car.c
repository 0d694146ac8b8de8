#include <ipld/car.h>

#include <errno.h>
#include <string.h>

#include <ipld/dag_cbor.h>
#include <multiformats/varint.h>

#include "cbor_write.h"

static bool key_is(const struct ipld_token *token, const char *key)
{
	return token->kind == IPLD_KEY && token->len == strlen(key) &&
		!memcmp(token->data, key, token->len);
}

static int read_roots(struct ipld_cbor_reader *in, size_t *count)
{
	struct ipld_token token;

	*count = 0;
	if (ipld_cbor_next(in, &token) != 1 || token.kind != IPLD_LIST)
		return -EBADMSG;
	while (ipld_cbor_next(in, &token) == 1) {
		if (token.kind == IPLD_END)
			return 0;
		if (token.kind != IPLD_LINK)
			return -EBADMSG;
		(*count)++;
	}
	return -EBADMSG;
}

int car_header_decode(struct car_header *header, const void *cbor, size_t len)
{
	struct ipld_cbor_reader in;
	struct ipld_token token;
	bool version = false, roots = false;

	header->cbor = (struct mf_pb_view){ cbor, len };
	ipld_cbor_init(&in, cbor, len);
	in.any_order = true; /* old writers put version first */
	if (ipld_cbor_next(&in, &token) != 1 || token.kind != IPLD_MAP)
		return -EBADMSG;
	while (ipld_cbor_next(&in, &token) == 1 && token.kind != IPLD_END) {
		if (!version && key_is(&token, "version")) {
			version = true;
			if (ipld_cbor_next(&in, &token) != 1 || token.kind != IPLD_INT ||
				token.negative || token.magnitude != 1)
				return -EBADMSG;
		} else if (!roots && key_is(&token, "roots")) {
			roots = true;
			if (read_roots(&in, &header->root_count) < 0)
				return -EBADMSG;
		} else {
			return -EBADMSG;
		}
	}
	return version && roots && ipld_cbor_next(&in, &token) == 0 ? 0 : -EBADMSG;
}

size_t car_header_roots(const struct car_header *header, struct mf_cid *roots, size_t max)
{
	struct ipld_cbor_reader in;
	struct ipld_token token;
	size_t n = 0;

	ipld_cbor_init(&in, header->cbor.data, header->cbor.len);
	in.any_order = true;
	while (n < max && ipld_cbor_next(&in, &token) == 1) {
		if (token.kind == IPLD_LINK)
			mf_cid_decode(&roots[n++], token.data, token.len);
	}
	return n;
}

static size_t cbor_head_size(uint64_t arg)
{
	return arg < 24 ? 1 : arg <= 0xff ? 2 : arg <= 0xffff ? 3 : arg <= 0xffffffff ? 5 : 9;
}

void car_put_header(struct mf_pb_writer *out, const struct mf_cid *roots, size_t count)
{
	uint8_t bytes[MF_CID_BYTES_MAX], prefix[MF_VARINT_WRITE_MAX];
	size_t size = 1 + 6 + cbor_head_size(count) + 8 + 1;

	for (size_t i = 0; i < count; i++) {
		size_t len = (size_t)mf_cid_encode(&roots[i], bytes, sizeof(bytes)) + 1;

		size += 2 + cbor_head_size(len) + len;
	}
	mf_pb_put_raw(out, prefix, (size_t)mf_varint_encode(size, prefix));
	cbor_put_head(out, CBOR_MAP, 2);
	cbor_put_text(out, "roots", 5);
	cbor_put_head(out, CBOR_ARRAY, count);
	for (size_t i = 0; i < count; i++)
		cbor_put_link(out, bytes, (size_t)mf_cid_encode(&roots[i], bytes, sizeof(bytes)));
	cbor_put_text(out, "version", 7);
	cbor_put_head(out, CBOR_UNSIGNED, 1);
}

ssize_t car_section_prefix(const struct mf_cid *cid, size_t block_len, uint8_t *out, size_t cap)
{
	uint8_t bytes[MF_CID_BYTES_MAX], len[MF_VARINT_WRITE_MAX];
	ssize_t cid_len = mf_cid_encode(cid, bytes, sizeof(bytes));
	size_t len_len = (size_t)mf_varint_encode((size_t)cid_len + block_len, len);

	if (len_len + (size_t)cid_len > cap)
		return -ENOSPC;
	memcpy(out, len, len_len);
	memcpy(out + len_len, bytes, (size_t)cid_len);
	return (ssize_t)(len_len + (size_t)cid_len);
}

int car_section_decode(struct car_section *section, const uint8_t *data, size_t len)
{
	uint64_t total;
	int n = mf_varint_decode(data, len, &total);

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0 || !total)
		return -EBADMSG;
	if (total > CAR_SECTION_MAX)
		return -EMSGSIZE;
	size_t head = (size_t)n, have = len - head < total ? len - head : (size_t)total;
	ssize_t cid_len = mf_cid_decode(&section->cid, data + head, have);
	if (cid_len < 0)
		return have < total && have < MF_CID_BYTES_MAX ? -EAGAIN : -EBADMSG;
	section->data_at = head + (size_t)cid_len;
	section->data_len = (size_t)total - (size_t)cid_len;
	return section->data_len > IPLD_BLOCK_MAX ? -EMSGSIZE : 0;
}
