/*
 * What the parts of bitswap share.
 *
 *	bitswap.c   its life: peers that come and go, what is started anew for lack of memory
 *	session.c   who here wants which blocks: sessions, needs, fetching
 *	want.c      what we want, as time goes by
 *	pursue.c    whom we ask for it
 *	ask.c       what each peer is asked about each want
 *	doubt.c     who lets us wait for too long
 *	wantlist.c  what a peer is told of our asks
 *	peer.c      peers, and the task that sends to one
 *	receive.c   messages of peers
 *	arrive.c    blocks of peers: hashed, stored, handed to who needs them
 *	serve.c     what peers want of us
 *	message.c   messages as bytes
 *	order.c     things in the order of their priority
 *	table.c     things found by their CID
 *
 * Lives: a peer's record is there from the first sign that it speaks bitswap until it has gone and no
 * task uses it any more. A want is there while somebody needs the block; its asks say which peers have
 * been told. A need is there while a session waits for a block or keeps it.
 *
 * One loop, so nothing changes between two waits. What is held over one is counted: peers by
 * references, needs by those who wait for them.
 */
#ifndef EXCHANGE_BITSWAP_INNER_H
#define EXCHANGE_BITSWAP_INNER_H

#include <exchange/bitswap.h>
#include <sys/queue.h>

#include "message.h"
#include "order.h"
#include "table.h"

enum {
	BITSWAP_INBOX_BYTES = 8 << 20,  /* messages of one peer that wait to be hashed, or are */
	BITSWAP_IN_FLIGHT = 16 << 20,   /* bytes asked of one peer at a time */
	BITSWAP_SEARCHES = 32,          /* wants of a session that every peer is asked about */
	BITSWAP_MEMORY = 256 << 20,     /* messages of all peers, being read or hashed */
	BITSWAP_PEER_MEMORY = 16 << 20, /* the same of one */
};

TAILQ_HEAD(bitswap_asks, bitswap_ask);
TAILQ_HEAD(bitswap_needs, bitswap_need);

/* ---- ours ---- */

enum bitswap_ask_state {
	ASK_UNSENT,
	ASK_SENT,
	ASK_HAS,     /* it said so */
	ASK_HAS_NOT, /* it said so, or gave nothing for too long */
};

/* What one peer was asked about one want. */
struct bitswap_ask {
	struct bitswap_want *want;
	struct bitswap_peer *peer;
	TAILQ_ENTRY(bitswap_ask) of_want, of_peer; /* of the peer: unsent or sent */
	enum bitswap_ask_state state;
	bool unsent;
	bool told;        /* sent at least once */
	bool block;       /* asked for the block, not only whether it has it */
	bool said;        /* that it has it, when last it said anything */
	bool late;        /* and counted as such */
	uint8_t answers;  /* that it has it, or not, since all were last asked anew */
	anyio_time since; /* when it was asked, or the message that asked had been sent */
};

struct bitswap_want {
	struct bitswap_node node;
	TAILQ_ENTRY(bitswap_want) link;
	struct mf_cid cid;
	int32_t priority;
	bool arrived;        /* the block is here, and on its way into the store */
	anyio_time awaited;  /* somebody waits for it since, as of the last look; 0: nobody */
	anyio_time searched; /* when all peers were last asked; 0: not yet */
	struct bitswap_needs needs;
	struct bitswap_asks asks;
	struct bitswap_ask *block; /* the last asked for it, and thought to have it; NULL: none */
};

enum bitswap_need_state {
	NEED_PENDING, /* nobody was asked yet */
	NEED_WANTED,
	NEED_HERE, /* and not taken yet */
	NEED_FAILED,
};

/* What a session needs. */
struct bitswap_need {
	struct bitswap_node node;
	struct bitswap_session *session;
	enum bitswap_need_state state;
	TAILQ_ENTRY(bitswap_need) link; /* of the session: pending, or here, or neither */
	TAILQ_ENTRY(bitswap_need) of_want, of_session;
	struct bitswap_want *want;
	size_t reserved;          /* bytes of the session's cache */
	unsigned waiting;         /* tasks */
	int error;                /* when failed */
	struct store_block block; /* its cid from the beginning */
	struct anyio_event done;
};

enum { BITSWAP_HOLDERS = 32 };

struct bitswap_session {
	struct bitswap *bitswap; /* NULL once ended */
	LIST_ENTRY(bitswap_session) link;
	struct bitswap_table needs;
	struct bitswap_needs pending; /* in the order they are to be asked for */
	struct bitswap_needs here;
	struct bitswap_needs all;
	size_t cache;    /* bytes it may hold */
	size_t wanted;   /* needs in that state */
	size_t used;     /* bytes fetched and not taken, or expected */
	size_t expected; /* bytes of a block that was not seen yet */
	unsigned users;  /* tasks inside bitswap_fetch */
	bool closed;
	bool overfull;       /* was given more than it may hold */
	store_ticket ticket; /* covers all that was fetched */
	/* Peers that had something this session wanted, or said so; see bitswap_session_add_holder. */
	struct bitswap_peer *holders[BITSWAP_HOLDERS];
	size_t holder_count;
};

/* ---- peers ---- */

enum bitswap_served_state { SERVED_READY, SERVED_PRESENCE, SERVED_WAITING, SERVED_STATES };

/* What a peer wants of us. In one order of the peer's by state: blocks to be sent, answers to be given,
 * blocks we don't have. */
struct bitswap_served {
	struct bitswap_spot spot; /* first */
	struct bitswap_node node;
	struct mf_cid cid;
	enum bitswap_served_state state;
	bool block, send_dont_have, have;
};

/* Blocks in memory for a peer. Their wants are in none of its orders any more, so one that the peer
 * cancels meanwhile is marked here. */
enum { BITSWAP_BATCHES = 2, BITSWAP_BATCH_BLOCKS = 32, BITSWAP_BATCH_BYTES = 4 << 20 };
struct bitswap_batch {
	struct store_block blocks[BITSWAP_BATCH_BLOCKS];
	struct bitswap_item wants[BITSWAP_BATCH_BLOCKS]; /* what they answer */
	size_t picked, count, next; /* wants; blocks that are here; and to be sent next */
	anyio_time since;           /* being sent; 0: not yet */
	bool token, slow;           /* of bitswap->serving and serving_slow */
};

struct bitswap_peer {
	struct bitswap *bitswap;
	TAILQ_ENTRY(bitswap_peer) link;
	struct mf_peer_id id;
	unsigned refs;
	bool gone;
	uint64_t mark; /* of the last search that knew it as asked */
	struct p2p_account account;

	/* sending */
	struct anyio_stream *stream;
	const char *protocol;    /* of stream */
	bool sending;            /* there is a task */
	bool fresh;              /* nothing was sent on stream yet */
	bool renew;              /* make a new stream first */
	bool full;               /* say the whole wantlist next time */
	struct anyio_event news; /* to be sent, or a batch of blocks is there */
	unsigned failures;       /* to send, one after the other */
	anyio_time stuck;        /* sending one message since then; 0: not sending */
	anyio_time telling;      /* the message being sent was begun then; 0: none */
	anyio_time behind;       /* how long it held batches beyond what it earned by taking them */

	/* ours */
	struct bitswap_asks unsent, sent;
	size_t ask_count, block_count; /* of both; those that are to bring a block */
	bool asked;                    /* ever */
	bool doubted; /* let us wait, and has given nothing wanted since: see doubt.c */
	struct mf_cid *cancels;
	size_t cancel_count, cancel_size;
	anyio_time gave;  /* when it last gave us a block */
	anyio_time heard; /* when it last sent more of a large message */
	uint64_t given;   /* bytes */
	unsigned late;    /* with blocks that somebody waited for, less those it gave */

	/* theirs */
	struct bitswap_table served;
	struct bitswap_order by_state[SERVED_STATES];
	struct bitswap_batch *batches; /* BITSWAP_BATCHES, of its sending task; NULL without */

	/* receiving */
	size_t inbox; /* bytes */
	struct anyio_event room;
};

/* What is held against a peer that left: it counts again when it comes back. */
struct bitswap_record {
	struct mf_peer_id id; /* empty: none */
	bool doubted;
	unsigned late;
	anyio_time behind;
};
enum { BITSWAP_RECORDS = 128 };

/* An inbound stream being read. */
struct bitswap_inbound {
	LIST_ENTRY(bitswap_inbound) link;
	struct anyio_stream *stream;
};

/* A message: being read, or here with blocks to be hashed. */
struct bitswap_arrival {
	STAILQ_ENTRY(bitswap_arrival) link;
	struct bitswap_peer *peer;
	struct p2p_account account;  /* its memory */
	struct anyio_stream *stream; /* it is read from */
	struct bitswap_reader reader;
	uint8_t *data;
	size_t len, size; /* as promised; of data so far */
	size_t blocks;    /* 0 until it is here */
};

/* To hold batches of blocks in memory for peers. */
struct bitswap_tokens {
	struct anyio_semaphore free;
	size_t waiting;
};

struct bitswap {
	struct p2p_host *host;
	struct store *store;
	struct bitswap_options options;
	struct anyio_task_group *group; /* while running, else NULL */
	struct anyio_event held_up;     /* some work could not be done now */
	struct anyio_event sent;        /* some peer is not being sent to any more */
	bool draining;                  /* peers want nothing new of us */
	struct p2p_watch watch;
	struct p2p_limit limit, peer_limit;
	struct p2p_account account;
	TAILQ_HEAD(, bitswap_peer) peers;
	struct bitswap_record records[BITSWAP_RECORDS];
	size_t record_next; /* to be written, the oldest */
	LIST_HEAD(, bitswap_inbound) inbound;
	struct anyio_event left;
	struct bitswap_tokens serving, serving_slow; /* a slow peer needs one of each */
	bool hurrying; /* there is a task that sees to it that who waits for a token gets one */

	struct bitswap_table wants;
	TAILQ_HEAD(, bitswap_want) want_list;
	LIST_HEAD(, bitswap_session) sessions;
	uint32_t asked; /* wants so far: earlier ones go first */
	uint64_t searches;
	bool keeping; /* there is a task that watches over them */

	STAILQ_HEAD(, bitswap_arrival) arrivals;
	size_t arriving; /* bytes in it */
	unsigned workers;
	bool moved, resting; /* blocks, since the resting task last looked */
	struct bitswap_statistics statistics;
};

extern const char *const bitswap_protocols[];
/* Newest first. Only the first knows WANT_HAVE; from BARE on blocks have no prefix. */
enum { BITSWAP_PROTOCOLS = 4, BITSWAP_BARE = 2 };

/* ---- bitswap.c ---- */

/* Starts a task in the group. An error is only returned: the work is held up, not bitswap. Whoever
 * starts tasks does so from what there is to do, so that it can be asked again. */
int bitswap_start(struct bitswap *bitswap, anyio_task_fn fn, void *arg, const char *name);
/* For lack of memory or tasks something is undone: all that start tasks are asked again soon. */
void bitswap_held_up(struct bitswap *bitswap);
/* Blocks have been sent or received. */
void bitswap_moved(struct bitswap *bitswap);
/* Makes records of all connected peers that speak bitswap and have none. */
void bitswap_peers_join(struct bitswap *bitswap);

/* ---- peer.c ---- */

/* The record of a peer, made if need be, with what is remembered of it; NULL without memory. */
struct bitswap_peer *bitswap_peer_get(struct bitswap *bitswap, const struct mf_peer_id *id);
void bitswap_peer_ref(struct bitswap_peer *peer);
void bitswap_peer_unref(struct bitswap_peer *peer);
/* The peer has gone, or does not speak bitswap after all. */
void bitswap_peer_lost(struct bitswap_peer *peer);
/* What is said to it now will not reach it soon: it is not to blame for what it does not give. */
bool bitswap_peer_is_deaf(const struct bitswap_peer *peer);
/* There is something to send. */
void bitswap_peer_kick(struct bitswap_peer *peer);

/* ---- receive.c ---- */

int bitswap_receive(struct p2p_stream_in *in, void *bitswap);
/* Makes all of bitswap_receive return, and waits for that. */
void bitswap_receive_end(struct bitswap *bitswap);

/* ---- arrive.c ---- */

/* Takes over a message that is here, with so many blocks. */
void bitswap_arrive(struct bitswap_arrival *arrival, size_t blocks);
/* Starts a worker if what has arrived needs one more. */
void bitswap_arrive_kick(struct bitswap *bitswap);
void bitswap_arrival_free(struct bitswap_arrival *arrival);

/* ---- serve.c ---- */

void bitswap_serve_want(struct bitswap_peer *peer, const struct bitswap_item *item);
/* Forgets what the peer wants, also what is in its batches. */
void bitswap_serve_clear(struct bitswap_peer *peer);
bool bitswap_serve_has_output(const struct bitswap_peer *peer);
/* Appends the answers due to a message; they count as given. */
void bitswap_serve_put_presences(struct bitswap_peer *peer, struct mf_pb_writer *out);

/* Reads the next blocks for the peer, once there is a place. 0 (also when there are none),
 * ANYIO_CANCELLED. */
int bitswap_serve_load(struct bitswap_peer *peer, struct bitswap_batch *batch);
/* The same while another batch is being sent: only if there is a place now. */
int bitswap_serve_load_early(struct bitswap_peer *peer, struct bitswap_batch *batch);
/* Whether others wait and the peer has had the batch for long enough. */
bool bitswap_serve_turn_over(const struct bitswap_peer *peer, const struct bitswap_batch *batch);
/* What the peer has cancelled is not sent. Not while a message with blocks of the batch is. */
void bitswap_serve_drop_cancelled(struct bitswap_batch *batch);
/* Ends a batch: what was not sent is dropped, or is wanted again. */
void bitswap_serve_unload(struct bitswap_peer *peer, struct bitswap_batch *batch);
void bitswap_serve_put_back(struct bitswap_peer *peer, struct bitswap_batch *batch);
/* Starts the task that ends streams nothing goes through while others wait, if it is needed. */
void bitswap_serve_hurry(struct bitswap *bitswap);

/* ---- want.c ---- */

struct bitswap_want *bitswap_want_find(const struct bitswap *bitswap, const struct mf_cid *cid);
/* Starts the task that watches over the wants, if there are any and it is not there. */
void bitswap_want_keep(struct bitswap *bitswap);
/* Joins the need to the want for its block, and asks for it. -ENOMEM. */
int bitswap_want_join(struct bitswap_need *need);
/* Takes the need off. The last one ends the want. */
void bitswap_want_leave(struct bitswap_need *need);
/* The block has come from peer: nobody else is asked any more. */
void bitswap_want_arrived(struct bitswap_want *want, struct bitswap_peer *peer);
/* A peer said whether it has a block. */
void bitswap_want_presence(struct bitswap_peer *peer, const struct mf_cid *cid, bool have);
void bitswap_want_peer_joined(struct bitswap_peer *peer);
void bitswap_want_peer_lost(struct bitswap_peer *peer);

/* ---- pursue.c ---- */

/* Sees to it that somebody is asked for the block who may yet give it, if there is anybody. */
void bitswap_want_pursue(struct bitswap *bitswap, struct bitswap_want *want);
/* Asks all peers that were not asked; one of them for the block at once, if nobody is asked for it. */
void bitswap_want_search(struct bitswap *bitswap, struct bitswap_want *want);
/* An ask for the block that has brought nothing for peer_timeout; NULL: none. */
struct bitswap_ask *bitswap_want_find_overdue(const struct bitswap_want *want);
/* It counts as refused, and the peer as doubted. */
void bitswap_ask_pass_over(struct bitswap *bitswap, struct bitswap_ask *ask);

/* ---- ask.c ---- */

/* NULL: the peer was not asked. */
struct bitswap_ask *bitswap_ask_find(struct bitswap_want *want, const struct bitswap_peer *peer);
/* Asks a peer whether it has the block, or for the block itself; ask is NULL the first time. Those
 * asked for the block come first among the want's asks. Nothing, when the peer has been asked as much as
 * may be, or without memory. */
void bitswap_ask_peer(
	struct bitswap_want *want, struct bitswap_peer *peer, struct bitswap_ask *ask, bool block);
/* Others are about to be asked for the block: who was to be and was not told yet is asked only whether it
 * has it, so that the block does not come twice. */
void bitswap_asks_pass_on(struct bitswap_want *want);
/* Tells it, or tells it again. */
void bitswap_ask_queue(struct bitswap_ask *ask);
/* It is not expected to bring the block. NULL: nothing. */
void bitswap_ask_no_block(struct bitswap_ask *ask);
void bitswap_ask_free(struct bitswap_ask *ask);
/* Ends all asks of a want, and cancels them but with one peer, or NULL. */
void bitswap_asks_end(struct bitswap_want *want, const struct bitswap_peer *but);

/* ---- doubt.c ---- */

/* It has been waited for alone for long enough. */
bool bitswap_ask_is_doubtful(const struct bitswap_ask *ask);
/* It has brought nothing for peer_timeout. */
bool bitswap_ask_is_overdue(const struct bitswap_ask *ask);
/* The ask is doubtful: so is the peer, unless it is only late for once, or was not told yet. */
void bitswap_ask_doubt(struct bitswap_ask *ask);
void bitswap_peer_doubt(struct bitswap_peer *peer);
/* Late so often that giving something does not end the doubts. */
bool bitswap_peer_is_late_often(const struct bitswap_peer *peer);

/* ---- wantlist.c ---- */

/* Appends the news for the peer as a wantlist. */
void bitswap_wantlist_put(struct bitswap_peer *peer, struct mf_pb_writer *out);
bool bitswap_wantlist_has_output(const struct bitswap_peer *peer);
/* The message with that has been sent, or has failed. */
void bitswap_wantlist_sent(struct bitswap_peer *peer);

/* ---- session.c ---- */

/* Whoever waits gets ANYIO_CLOSED, and so do all who come later. */
void bitswap_session_end(struct bitswap_session *session);
/* Asks for what is pending as far as there is room. */
void bitswap_session_advance(struct bitswap_session *session);
void bitswap_session_advance_all(struct bitswap *bitswap);
/* When there are too many, one that has given us blocks takes the place of one that has not. */
void bitswap_session_add_holder(struct bitswap_session *session, struct bitswap_peer *peer);
void bitswap_session_drop_holder(struct bitswap_session *session, struct bitswap_peer *peer);
/* The block is here: memory is the need's from now on. */
void bitswap_need_give(struct bitswap_need *need, const void *data, size_t len, void *memory);
void bitswap_need_fail(struct bitswap_need *need, int error);

#endif
