/* Ways of making two connected ends, one a layer, and two sessions of the multiplexer in one loop. */
#ifndef LIBP2P_TESTS_LAYERS_H
#define LIBP2P_TESTS_LAYERS_H

#include "check.h"

#include <anyio/anyio.h>

#include "mux/yamux/yamux.h"
#include "security/noise/noise.h"
#include "transport/tcp.h"

#define OK(call) assert_int_equal((call), 0)

struct ends {
	struct anyio_stream *a, *b;
};

struct layer {
	const char *name;
	bool half_close, many; /* what it can do */
	int (*run)(int (*body)(void *arg, struct ends *ends), void *arg);
};

/* ---- raw TCP ---- */

static void tcp_ends(struct ends *ends)
{
	struct anyio_listener *listener;
	struct anyio_address address;
	struct mf_multiaddr multiaddr;

	OK(mf_multiaddr_parse(&multiaddr, "/ip4/127.0.0.1/tcp/0", 20));
	OK(p2p_tcp_listen(&multiaddr, &listener));
	OK(anyio_listener_address(listener, &address));
	OK(mf_multiaddr_from_sockaddr(&multiaddr, &address.any, MF_P_TCP));
	OK(p2p_tcp_dial(&multiaddr, &ends->a));
	OK(anyio_accept(listener, &ends->b));
	anyio_listener_free(listener);
}

static int tcp_run(int (*body)(void *arg, struct ends *ends), void *arg)
{
	struct ends ends;
	int rc;

	tcp_ends(&ends);
	rc = body(arg, &ends);
	anyio_stream_free(ends.a);
	anyio_stream_free(ends.b);
	return rc;
}

/* ---- Noise ---- */

struct secured {
	struct p2p_noise noise[2];
	struct p2p_noise_result result[2];
	struct ends raw;
	int rc[2];
};

static int secure_b(void *arg)
{
	struct secured *s = arg;

	s->rc[1] = p2p_noise_secure(&s->noise[1], s->raw.b, false, NULL, &s->result[1]);
	return 0;
}

static void secure(struct secured *s)
{
	static const char *const muxers[] = { P2P_YAMUX_PROTOCOL };
	struct mf_peer_id expected;
	struct p2p_key keys[2];

	for (int i = 0; i < 2; i++) {
		p2p_key_generate(&keys[i]);
		OK(p2p_noise_init(&s->noise[i], &keys[i], muxers, 1));
	}
	tcp_ends(&s->raw);
	p2p_key_peer_id(&keys[1], &expected);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, secure_b, s, "responder");
	s->rc[0] = p2p_noise_secure(&s->noise[0], s->raw.a, true, &expected, &s->result[0]);
	OK(anyio_task_group_exit(&group, 0));
	OK(s->rc[0]);
	OK(s->rc[1]);
	assert_int_equal(s->result[0].muxer, 0);
	assert_int_equal(s->result[1].muxer, 0);
}

static void unsecure(struct secured *s)
{
	for (int i = 0; i < 2; i++)
		p2p_noise_destroy(&s->noise[i]);
}

static int noise_run(int (*body)(void *arg, struct ends *ends), void *arg)
{
	struct p2p_channel_stream views[2];
	struct secured s;
	struct ends ends = { &views[0].stream, &views[1].stream };
	int rc;

	secure(&s);
	for (int i = 0; i < 2; i++)
		p2p_channel_stream_init(&views[i], s.result[i].channel);
	rc = body(arg, &ends);
	for (int i = 0; i < 2; i++)
		p2p_channel_destroy(s.result[i].channel);
	unsecure(&s);
	return rc;
}

/* ---- yamux ---- */

struct session {
	struct p2p_yamux_session *session;
	struct p2p_account account;
	struct anyio_event accepted;
	struct p2p_mux_stream *queue[600];
	size_t first, count, held;
};

static const struct p2p_limit plenty = { UINT32_MAX, 1000, 1000, 1000, 1000 };

static int accept_stream(void *owner, struct p2p_mux_stream *stream)
{
	struct session *session = owner;

	session->queue[session->count++] = stream;
	anyio_event_set(&session->accepted);
	return 0;
}

static void hold(void *owner)
{
	((struct session *)owner)->held++;
}

static void drop(void *owner)
{
	((struct session *)owner)->held--;
}

static struct session sessions[2];

static int session_task(void *arg)
{
	p2p_yamux_run(((struct session *)arg)->session);
	return 0;
}

static void session_start(struct session *session, struct p2p_channel *channel, bool client,
	struct anyio_task_group *group)
{
	struct p2p_yamux_options options = { .client = client,
		.account = &session->account,
		.stream_limit = &plenty,
		.group = group,
		.accept = accept_stream,
		.hold = hold,
		.drop = drop,
		.owner = session };

	*session = (struct session){ 0 };
	p2p_account_init(&session->account, NULL, &plenty);
	anyio_event_init(&session->accepted);
	OK(p2p_yamux_create(channel, &options, &session->session));
	anyio_start_soon(group, session_task, session, "session");
}

static void open_pair(struct ends *ends)
{
	struct p2p_mux_stream *stream;

	OK(p2p_mux_open(sessions[0].session, &stream));
	ends->a = p2p_mux_stream_base(stream);
	OK(anyio_stream_send(ends->a, "!", 1)); /* a stream begins with its first frame */
	while (sessions[1].first == sessions[1].count) {
		anyio_event_init(&sessions[1].accepted);
		OK(anyio_event_wait(&sessions[1].accepted));
	}
	ends->b = p2p_mux_stream_base(sessions[1].queue[sessions[1].first++]);
	OK(anyio_stream_receive_exactly(ends->b, &(char){ 0 }, 1));
}

static int with_sessions(int (*body)(void *arg), void *arg)
{
	struct secured s;
	int rc;

	secure(&s);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 2; i++)
		session_start(&sessions[i], s.result[i].channel, i == 0, &group);
	rc = body(arg);
	anyio_task_group_cancel(&group, "done");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < 2; i++) {
		p2p_yamux_free(sessions[i].session);
		assert_int_equal(sessions[i].held, 0);
		assert_int_equal(sessions[i].account.used.memory, 0);
		assert_int_equal(sessions[i].account.used.streams, 0);
	}
	unsecure(&s);
	return rc;
}

struct yamux_call {
	int (*body)(void *arg, struct ends *ends);
	void *arg;
};

static int yamux_body(void *arg)
{
	struct yamux_call *call = arg;
	struct ends ends;
	int rc;

	open_pair(&ends);
	rc = call->body(call->arg, &ends);
	anyio_stream_free(ends.a);
	anyio_stream_free(ends.b);
	return rc;
}

static int yamux_run(int (*body)(void *arg, struct ends *ends), void *arg)
{
	return with_sessions(yamux_body, &(struct yamux_call){ body, arg });
}

static const struct layer layers[] = {
	{ "tcp", true, false, tcp_run },
	{ "noise", false, false, noise_run },
	{ "yamux", true, true, yamux_run },
};

#endif
