/* Bitswap messages: whatever reads must be re-readable after being written again. */
#include <assert.h>
#include <stdlib.h>

#include "exchange/bitswap/message.h"

static void put(struct mf_pb_writer *out, const struct bitswap_item *item)
{
	if (item->kind == BITSWAP_WANT)
		bitswap_put_wantlist(out, item, 1, false);
	else if (item->kind == BITSWAP_PRESENCE)
		bitswap_put_presence(out, &item->cid, item->have);
	else {
		bitswap_put_block_head(out, &item->cid, item->data.len);
		mf_pb_put_raw(out, item->data.data, item->data.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bitswap_reader in = bitswap_read(data, size);
	struct bitswap_item item, again;

	bitswap_is_full(data, size);
	while (bitswap_next(&in, &item) > 0) {
		struct mf_pb_writer out = mf_pb_write_growing(64);
		put(&out, &item);
		ssize_t len = mf_pb_finish(&out);
		assert(len >= 0);
		struct bitswap_reader back = bitswap_read(out.data, (size_t)len);
		assert(bitswap_next(&back, &again) == 1 && again.kind == item.kind);
		assert(again.data.len == item.data.len && again.cancel == item.cancel);
		assert(mf_cid_equal(&item.cid, &again.cid)); /* a block's has no digest yet */
		assert(bitswap_next(&back, &again) == 0);
		free(out.data);
	}
	return 0;
}
