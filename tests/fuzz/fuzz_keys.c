/* Keys of other peers and our own key file's content. */
#include <assert.h>
#include <string.h>

#include <libp2p/key.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[P2P_PRIVATE_KEY_MAX];
	struct p2p_key key, again;
	struct mf_peer_id id;
	size_t half = size / 2;
	ssize_t n;

	if (p2p_key_decode(&key, data, size) == 0) {
		n = p2p_key_encode(&key, out, sizeof out);
		assert(n > 0 && p2p_key_decode(&again, out, (size_t)n) == 0);
		assert(memcmp(&key, &again, sizeof key) == 0);
	}
	p2p_public_key_peer_id(data, size, &id);
	p2p_public_key_verify(data, half, "text", 4, data + half, size - half);
	return 0;
}
