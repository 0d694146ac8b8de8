/*
 * What a verification found (kit_repo_verify), for programs. In JSON each is an answer of repo/verify: Msg, the sentence, and
 * Kind, with Cid, File, Offset, End, Blocks, Missing, Tier, Object and GivenUp as far as it has them.
 */
#ifndef KIT_PROBLEM_H
#define KIT_PROBLEM_H

#include <kit/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kit_problem {
	/*
	 * More may come. Of a file in the repo:
	 *	block       the block cid, bytes from..to of file, is damaged
	 *	bytes       bytes from..to of file are damaged, where no block is known to be
	 *	unindexed   the index does not know the block cid, bytes from..to of file
	 *	segment     file, which had `to` bytes, ends at from (0: it is missing): `blocks` blocks are lost with it
	 *	changed     file, a link to somebody else's, was changed: `blocks` blocks in it are not believed
	 *	operations  bytes from..to of file, the operation log, are damaged; without: it is missing, or too old
	 *	pointers    the index points at `blocks` blocks that are not there
	 * Of a tier:
	 *	tier-block  the block cid, bytes from..to of object, is damaged there, or lost
	 *	tier-index  the index of object, bytes from..to of it, is
	 *	unread      `blocks` blocks could not be read, the first of them in object; which is no loss
	 * Of what depends on it:
	 *	pin         cid is pinned, and needs `blocks` blocks that are missing or damaged, `missing` being one
	 *	healed      the block cid, told before, is whole again
	 *	unhealed    it is not
	 */
	const char *kind;
	const char *text; /* for people: what is the matter with cid, or where it has none, all */
	const struct mf_cid *cid; /* NULL: it has none, or it is not known */
	const struct mf_cid *missing;
	const char *file;          /* "segments/00000001.car", in the repo's folder; NULL */
	uint64_t from, to, blocks; /* to 0: there are no bytes to name */
	const char *tier, *object; /* NULL */
	int error;                 /* a code, or 0 */
	bool given_up;             /* it is forgotten from now on */
};

struct json_t;
/* As repo/verify answers; NULL when memory is short. Any thread. */
KIT_API struct json_t *kit_problem_json(const struct kit_problem *problem);

#ifdef __cplusplus
}
#endif
#endif
