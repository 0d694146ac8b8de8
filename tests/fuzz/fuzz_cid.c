/* Bytes to CID and back, text to CID and back, in every base. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/cid.h>

static void check(const struct mf_cid *cid)
{
	char text[8 * MF_CID_BYTES_MAX + 2];
	struct mf_cid again;

	ssize_t n = mf_cid_format(cid, text, MF_CID_TEXT_MAX);
	if (n < 0 || mf_cid_parse(&again, text, (size_t)n) < 0 || !mf_cid_equal(cid, &again))
		abort();
	for (const char *base = "079fFvVtTbBcChkKzZmMuU"; cid->version == 1 && *base; base++) {
		n = mf_cid_format_base(cid, *base, text, sizeof(text));
		if (n < 0 || mf_cid_parse(&again, text, (size_t)n) < 0 ||
			!mf_cid_equal(cid, &again))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[MF_CID_BYTES_MAX];
	struct mf_cid cid;

	ssize_t n = mf_cid_decode(&cid, data, size);
	if (n >= 0) {
		if (mf_cid_encode(&cid, bytes, sizeof(bytes)) != n ||
			memcmp(bytes, data, (size_t)n))
			abort();
		check(&cid);
	}
	if (mf_cid_parse(&cid, (const char *)data, size) == 0)
		check(&cid);
	return 0;
}
