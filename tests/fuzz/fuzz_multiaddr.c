/* An address that is read, from bytes or text, has a text form that reads back as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/multiaddr.h>

static void check(const struct mf_multiaddr *addr)
{
	static char text[MF_MULTIADDR_TEXT_MAX];
	struct mf_multiaddr again;
	struct mf_multiaddr_part part;
	struct sockaddr_storage storage;
	struct mf_peer_id id;
	socklen_t len;
	size_t at = 0;

	ssize_t n = mf_multiaddr_format(addr, text, sizeof(text));
	if (n < 0 || mf_multiaddr_parse(&again, text, (size_t)n) < 0 ||
		!mf_multiaddr_equal(addr, &again))
		abort();
	again.len = 0;
	while (mf_multiaddr_next(addr, &at, &part))
		if (mf_multiaddr_append(&again, part.code, part.value, part.len) < 0)
			abort();
	if (at != addr->len || !mf_multiaddr_equal(addr, &again))
		abort();
	int transport = mf_multiaddr_to_sockaddr(addr, &storage, &len);
	if (transport > 0 &&
		mf_multiaddr_from_sockaddr(
			&again, (struct sockaddr *)&storage, (uint32_t)transport) < 0)
		abort();
	mf_multiaddr_peer(addr, &id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_multiaddr addr;

	if (mf_multiaddr_decode(&addr, data, size) == 0) {
		if (addr.len != size || (size > 0 && memcmp(addr.bytes, data, size)))
			abort();
		check(&addr);
	}
	if (mf_multiaddr_parse(&addr, (const char *)data, size) == 0)
		check(&addr);
	return 0;
}
