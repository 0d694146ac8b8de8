/* Blocks that somebody has picked out. */
#include <errno.h>
#include <multiformats/multihash.h>
#include <store/tier.h>
#include "inner.h"
#include "live.h"

struct store_marks {
	struct store *store;
	struct live live;
};

int store_marks_create(struct store *store, struct store_marks **marks)
{
	*marks = anyio_calloc(1, sizeof(**marks));
	if (!*marks)
		return -ENOMEM;
	(*marks)->store = store;
	return 0;
}

void store_marks_free(struct store_marks *marks)
{
	if (!marks)
		return;
	live_free(&marks->live);
	anyio_free(marks);
}

int store_marks_add(struct store_marks *marks, const struct mf_cid *cid)
{
	struct index_place place;
	int rc = cid->hash == MF_HASH_IDENTITY ? 0 : store_find(marks->store, cid, &place);

	if (rc > 0)
		rc = live_add(&marks->live, place.segment, place.ordinal, place.len);
	return rc < 0 ? rc : 0;
}

bool store_marks_has(struct store_marks *marks, const struct mf_cid *cid)
{
	struct index_place place;

	return cid->hash != MF_HASH_IDENTITY && store_find(marks->store, cid, &place) > 0 &&
		live_has(&marks->live, place.segment, place.ordinal);
}
