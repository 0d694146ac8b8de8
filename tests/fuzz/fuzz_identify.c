/* Identify messages and signed peer records: what decodes can be said again and means the same. */
#include <assert.h>
#include <string.h>

#include "libp2p/protocol/identify_codec.h"

static bool same(struct mf_pb_view a, struct mf_pb_view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct p2p_identify first, second;
	static uint8_t out[256 * 1024];
	struct mf_peer_id sender;
	ssize_t n;

	mf_peer_id_of_key(&sender, data, size < 36 ? size : 36);
	p2p_peer_record_open((struct mf_pb_view){ data, size }, &sender, &second);
	if (p2p_identify_decode(&first, data, size) < 0)
		return 0;
	n = p2p_identify_encode(&first, out, sizeof out);
	if (n < 0)
		return 0;
	assert(p2p_identify_decode(&second, out, (size_t)n) == 0);
	assert(first.protocol_count == second.protocol_count);
	assert(first.address_count == second.address_count);
	assert(same(first.agent_version, second.agent_version));
	assert(same(first.public_key, second.public_key));
	for (size_t i = 0; i < first.protocol_count; i++)
		assert(same(first.protocols[i], second.protocols[i]));
	p2p_peer_record_open(first.signed_record, &sender, &first);
	return 0;
}
