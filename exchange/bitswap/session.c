/*
 * Sessions: who here needs which blocks.
 *
 * Needs wait in order until there is room: in the session's cache for the bytes expected, and at a peer
 * for one more question. A need somebody waits for goes first and past the cache's bound. A block
 * that is here stays with its need until it is taken; should room be short, the oldest goes, for the
 * store has it too.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <ipld/block.h>
#include <multiformats/multihash.h>
#include <string.h>

enum {
	EXPECTED = 1 << 20, /* bytes of a block before any was seen */
	NEEDS_MAX = 4096,   /* prefetched ones of a session */
};

static struct bitswap_need *need_find(
	const struct bitswap_session *session, const struct mf_cid *cid)
{
	return (struct bitswap_need *)bitswap_table_find(&session->needs, cid);
}

static struct bitswap_need *need_new(struct bitswap_session *session, const struct mf_cid *cid)
{
	struct bitswap_need *need = anyio_calloc(1, sizeof(*need));

	if (!need)
		return NULL;
	need->session = session;
	need->block.cid = *cid;
	need->node.cid = &need->block.cid;
	anyio_event_init(&need->done);
	if (bitswap_table_add(&session->needs, &need->node) < 0) {
		anyio_free(need);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&session->pending, need, link);
	TAILQ_INSERT_TAIL(&session->all, need, of_session);
	return need;
}

/* Takes the need out of wherever its state has put it. */
static void need_detach(struct bitswap_need *need)
{
	struct bitswap_session *session = need->session;

	switch (need->state) {
	case NEED_PENDING: TAILQ_REMOVE(&session->pending, need, link); break;
	case NEED_HERE: TAILQ_REMOVE(&session->here, need, link); break;
	case NEED_WANTED:
		session->wanted--;
		bitswap_want_leave(need);
		break;
	case NEED_FAILED: break;
	}
	session->used -= need->reserved;
	need->reserved = 0;
}

static void need_free(struct bitswap_need *need)
{
	need_detach(need);
	bitswap_table_remove(&need->session->needs, &need->node);
	TAILQ_REMOVE(&need->session->all, need, of_session);
	anyio_free(need->block.memory);
	anyio_free(need);
}

void bitswap_need_fail(struct bitswap_need *need, int error)
{
	need_detach(need);
	need->state = NEED_FAILED;
	need->error = error;
	if (need->waiting)
		anyio_event_set(&need->done);
	else
		need_free(need);
}

/* Frees nothing, for other needs may yet be given copies of these bytes: see trim. */
void bitswap_need_give(struct bitswap_need *need, const void *data, size_t len, void *memory)
{
	struct bitswap_session *session = need->session;

	need_detach(need);
	need->state = NEED_HERE;
	need->block.data = data;
	need->block.len = len;
	need->block.memory = memory;
	need->reserved = len;
	session->used += len;
	session->expected =
		len > session->expected ? len : session->expected - (session->expected - len) / 8;
	TAILQ_INSERT_TAIL(&session->here, need, link);
	if (!need->waiting && session->used > session->cache)
		session->overfull = true;
	anyio_event_set(&need->done);
}

/* What was given past the cache's bound and nobody waits for goes again, the last first. */
static void trim(struct bitswap_session *session)
{
	struct bitswap_need *need, *next;

	for (need = TAILQ_LAST(&session->here, bitswap_needs);
		need && session->used > session->cache; need = next) {
		next = TAILQ_PREV(need, bitswap_needs, link);
		if (!need->waiting)
			need_free(need);
	}
	session->overfull = false;
}

/* ---- whom ---- */

void bitswap_session_add_holder(struct bitswap_session *session, struct bitswap_peer *peer)
{
	for (size_t i = 0; i < session->holder_count; i++)
		if (session->holders[i] == peer)
			return;
	if (session->holder_count < BITSWAP_HOLDERS) {
		session->holders[session->holder_count++] = peer;
		return;
	}
	for (size_t i = 0; peer->given > 0 && i < BITSWAP_HOLDERS; i++)
		if (session->holders[i]->given == 0) {
			session->holders[i] = peer;
			return;
		}
}

void bitswap_session_drop_holder(struct bitswap_session *session, struct bitswap_peer *peer)
{
	for (size_t i = 0; i < session->holder_count; i++)
		if (session->holders[i] == peer) {
			session->holders[i] = session->holders[--session->holder_count];
			return;
		}
}

static bool may_ask(const struct bitswap_session *session, const struct bitswap_peer *peer)
{
	return peer->ask_count < BITSWAP_WANTS_MAX &&
		peer->block_count * session->expected < BITSWAP_IN_FLIGHT;
}

static bool has_room(const struct bitswap_session *session)
{
	size_t hearing = 0;

	for (size_t i = 0; i < session->holder_count; i++) {
		if (bitswap_peer_is_deaf(session->holders[i]))
			continue;
		if (may_ask(session, session->holders[i]))
			return true;
		hearing++;
	}
	return hearing == 0 && session->wanted < BITSWAP_SEARCHES;
}

/* ---- asking ---- */

static int need_ask(struct bitswap_need *need)
{
	struct bitswap_session *session = need->session;
	int rc = bitswap_want_join(need);

	if (rc < 0)
		return rc;
	TAILQ_REMOVE(&session->pending, need, link);
	need->state = NEED_WANTED;
	need->reserved = session->expected;
	session->used += need->reserved;
	session->wanted++;
	return 0;
}

void bitswap_session_advance(struct bitswap_session *session)
{
	struct bitswap_need *need;

	while (session->bitswap && (need = TAILQ_FIRST(&session->pending))) {
		bool fits = need->waiting || session->used + session->expected <= session->cache;
		if (!fits || !has_room(session) || need_ask(need) < 0)
			return;
	}
}

void bitswap_session_advance_all(struct bitswap *bitswap)
{
	struct bitswap_session *session;

	LIST_FOREACH (session, &bitswap->sessions, link) {
		if (session->overfull)
			trim(session);
		bitswap_session_advance(session);
	}
}

/* ---- taking ---- */

/* Others wait for the same block: they get it, and this one a copy. */
static int need_copy(const struct bitswap_need *need, struct store_block *block)
{
	void *memory = anyio_malloc(need->block.len + 1);

	if (!memory)
		return -ENOMEM;
	memcpy(memory, need->block.data, need->block.len);
	*block = need->block;
	block->data = block->memory = memory;
	return 0;
}

static int need_take(struct bitswap_need *need, struct store_block *block)
{
	if (need->waiting)
		return need_copy(need, block);
	*block = need->block;
	need->block.memory = NULL;
	need_free(need);
	return 0;
}

static void session_free(struct bitswap_session *session)
{
	if (session->closed && session->users == 0)
		anyio_free(session);
}

/* The wait is over: need is in whatever state it has come to. */
static int need_end(struct bitswap_need *need, int rc, struct store_block *block)
{
	need->waiting--;
	if (need->state == NEED_HERE && rc == 0)
		return need_take(need, block);
	if (need->state == NEED_FAILED)
		rc = rc < 0 ? rc : need->error;
	if (need->waiting == 0 && need->state != NEED_HERE)
		need_free(need);
	return rc;
}

static int need_wait(struct bitswap_need *need, struct store_block *block)
{
	struct bitswap_session *session = need->session;
	int rc;

	need->waiting++;
	session->users++;
	if (need->state == NEED_PENDING) {
		TAILQ_REMOVE(&session->pending, need, link);
		TAILQ_INSERT_HEAD(&session->pending, need, link);
		bitswap_session_advance(session);
	}
	rc = anyio_event_wait(&need->done);
	rc = need_end(need, rc, block);
	session->users--;
	bitswap_session_advance(session);
	session_free(session);
	return rc;
}

/* Someone went elsewhere than where the hints led: what they brought makes room. */
static void make_room(struct bitswap_session *session)
{
	struct bitswap_need *need, *next;

	for (need = TAILQ_FIRST(&session->here); need && session->used >= session->cache;
		need = next) {
		next = TAILQ_NEXT(need, link);
		if (!need->waiting)
			need_free(need);
	}
}

int bitswap_take(
	struct bitswap_session *session, const struct mf_cid *cid, struct store_block *block)
{
	struct bitswap_need *need = need_find(session, cid);
	int rc;

	if (!need || need->state != NEED_HERE)
		return -ENOENT;
	rc = need_take(need, block);
	if (rc == 0)
		block->cid = *cid;
	bitswap_session_advance(session);
	return rc;
}

/* The empty block is the same everywhere, and some peers say they have it but never send it. */
static bool is_empty_block(const struct mf_cid *cid)
{
	return ipld_block_verify(cid, "", 0) == 0;
}

static int make_empty(
	struct bitswap_session *session, const struct mf_cid *cid, struct store_block *block)
{
	*block = (struct store_block){ .cid = *cid, .memory = anyio_malloc(1) };
	block->data = block->memory;
	return block->memory
		? store_put(session->bitswap->store, cid, "", 0, STORE_VERIFIED, &session->ticket)
		: -ENOMEM;
}

/* From the store, or from nowhere: else -ENOENT or -EBADMSG. */
static int get_here(
	struct bitswap_session *session, const struct mf_cid *cid, struct store_block *block)
{
	int rc;

	session->users++;
	rc = store_get(session->bitswap->store, cid, block);
	if ((rc == -ENOENT || rc == -EBADMSG) && session->bitswap && is_empty_block(cid)) {
		rc = make_empty(session, cid, block);
		if (rc < 0)
			store_block_release(block);
	}
	session->users--;
	return rc;
}

int bitswap_fetch(
	struct bitswap_session *session, const struct mf_cid *cid, struct store_block *block)
{
	struct bitswap_need *need;
	int rc = bitswap_take(session, cid, block);

	if (rc != -ENOENT)
		return rc;
	if (!session->bitswap)
		return ANYIO_CLOSED;
	if (!need_find(session, cid)) {
		rc = get_here(session, cid, block);
		if (rc != -ENOENT && rc != -EBADMSG) {
			session_free(session);
			return rc;
		}
	}
	if (!session->bitswap) {
		session_free(session);
		return ANYIO_CLOSED;
	}
	/* No peer could ever give it. */
	rc = ipld_block_allowed(cid, 0);
	if (rc < 0)
		return rc;
	need = need_find(session, cid);
	if (!need) {
		make_room(session);
		need = need_new(session, cid);
	}
	if (!need)
		return -ENOMEM;
	rc = need_wait(need, block);
	if (rc == 0)
		block->cid = *cid;
	return rc;
}

void bitswap_prefetch(struct bitswap_session *session, const struct mf_cid *cids, size_t count)
{
	for (size_t i = 0; session->bitswap && i < count && session->needs.count < NEEDS_MAX; i++)
		if (!need_find(session, &cids[i]) && ipld_block_allowed(&cids[i], 0) == 0 &&
			store_has(session->bitswap->store, &cids[i]) == 0 &&
			!is_empty_block(&cids[i]) && !need_new(session, &cids[i]))
			break;
	bitswap_session_advance(session);
}

store_ticket bitswap_session_ticket(const struct bitswap_session *session)
{
	return session->ticket;
}

/* ---- life ---- */

int bitswap_session_open(struct bitswap *bitswap, struct bitswap_session **out)
{
	struct bitswap_session *session = anyio_calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->bitswap = bitswap;
	session->cache = bitswap->options.session_cache;
	session->expected = EXPECTED;
	TAILQ_INIT(&session->pending);
	TAILQ_INIT(&session->here);
	TAILQ_INIT(&session->all);
	LIST_INSERT_HEAD(&bitswap->sessions, session, link);
	*out = session;
	return 0;
}

void bitswap_session_end(struct bitswap_session *session)
{
	struct bitswap_need *need, *next;

	for (need = TAILQ_FIRST(&session->all); need; need = next) {
		next = TAILQ_NEXT(need, of_session);
		bitswap_need_fail(need, ANYIO_CLOSED);
	}
	LIST_REMOVE(session, link);
	session->bitswap = NULL;
}

void bitswap_session_close(struct bitswap_session *session)
{
	if (!session)
		return;
	if (session->bitswap)
		bitswap_session_end(session);
	session->closed = true;
	session_free(session);
}
