/*
 * Lanes of bytes. Each byte is stamped by its place: byte n of a lane is stamp(n), so that one lost,
 * doubled or out of place is seen at once. A lane ends dry (the sender's end, all bytes there) or cut:
 * one side closes or aborts at a random moment, and what came is the beginning of what went.
 */
#include "stress.h"
#include <fcntl.h>

enum { MOST = 3000 };

enum ending { DRY, RECEIVER_CLOSES, SENDER_CLOSES, SENDER_ABORTS };

struct wire {
	struct world *world;
	struct anyio_stream *ends[2]; /* from 0 to 1 */
	int fds[2];                   /* a pipe, when there are no ends: from 1 to 0 */
	enum ending ending;
	size_t cut_at; /* operations of the world */
	size_t sent, received;
	size_t lent, wanted;
	bool closed[2], whole;
	int sender_rc, receiver_rc;
	uint8_t in[MOST], out[MOST];
};

static uint8_t stamp(size_t place)
{
	return (uint8_t)(place * 2654435761u >> 11);
}

static bool over(int rc)
{
	return rc == ANYIO_CLOSED || rc == ANYIO_BROKEN || rc == ANYIO_END_OF_STREAM;
}

static int send_some(void *arg)
{
	struct wire *wire = arg;
	size_t sent = 0;
	int rc;
	if (wire->ends[0]) {
		struct iovec parts[2] = { { wire->out, wire->wanted / 3 },
			{ wire->out + wire->wanted / 3, wire->wanted - wire->wanted / 3 } };
		rc = anyio_stream_sendv(wire->ends[0], parts, 2, &sent);
	} else {
		ssize_t n = anyio_write(wire->fds[1], wire->out, wire->wanted);
		sent = n > 0 ? (size_t)n : 0;
		rc = n < 0 ? (int)n : 0;
	}
	wire->sent += sent;
	return rc;
}

static int sender(void *arg)
{
	struct wire *wire = arg;
	struct world *world = wire->world;
	int rc = 0;
	while (more(world) && (rc == 0 || rc == ANYIO_CANCELLED)) {
		wire->wanted = 1 + draw(world, MOST);
		for (size_t i = 0; i < wire->wanted; i++)
			wire->out[i] = stamp(wire->sent + i);
		rc = risk(world, send_some, wire);
		linger(world, 2);
	}
	wire->sender_rc = rc == ANYIO_CANCELLED ? 0 : rc;
	if (!wire->closed[0] && wire->ends[0] && wire->ending == DRY)
		CHECK_RC(anyio_stream_send_eof(wire->ends[0]), 0);
	if (!wire->ends[0])
		CHECK_RC(anyio_close(wire->fds[1]), 0);
	return 0;
}

static void *lend(void *arg, size_t *size)
{
	struct wire *wire = arg;
	wire->lent++;
	*size = 1 + draw(wire->world, MOST);
	return wire->in;
}

static void take(struct wire *wire, size_t count)
{
	size_t wrong = 0;
	for (size_t i = 0; i < count; i++)
		wrong += wire->in[i] != stamp(wire->received + i);
	CHECK_RC((int64_t)wrong, 0);
	wire->received += count;
}

static int receive_some(void *arg)
{
	struct wire *wire = arg;
	ssize_t n;
	if (!wire->ends[1])
		n = anyio_read(wire->fds[0], wire->in, 1 + draw(wire->world, MOST));
	else if (draw(wire->world, 2))
		n = anyio_stream_receive_lazy(wire->ends[1], lend, wire);
	else
		n = anyio_stream_receive(wire->ends[1], wire->in, 1 + draw(wire->world, MOST));
	if (n > 0)
		take(wire, (size_t)n);
	return n == 0 ? ANYIO_END_OF_STREAM : n < 0 ? (int)n : 0;
}

static int receiver(void *arg)
{
	struct wire *wire = arg;
	int rc = 0;
	while (rc == 0 || rc == ANYIO_CANCELLED) {
		rc = risk(wire->world, receive_some, wire);
		linger(wire->world, 2);
	}
	wire->receiver_rc = rc;
	if (!wire->ends[1])
		CHECK_RC(anyio_close(wire->fds[0]), 0);
	return 0;
}

/* Closes under whoever is inside. */
static int cutter(void *arg)
{
	struct wire *wire = arg;
	int side = wire->ending == RECEIVER_CLOSES;
	while (more(wire->world) && wire->world->operations < wire->cut_at)
		CHECK_RC(anyio_sleep(10 * ANYIO_MICROSECOND), 0);
	wire->closed[side] = true;
	if (wire->ending == SENDER_ABORTS)
		anyio_stream_abort(wire->ends[side]);
	else
		anyio_stream_close(wire->ends[side]);
	/* The other side may have nothing more to do that would tell it. */
	linger(wire->world, 20);
	wire->closed[!side] = true;
	anyio_stream_close(wire->ends[!side]);
	return 0;
}

static void wire_run(struct wire *wire)
{
	ANYIO_TASK_GROUP(group);
	spawn(&group, sender, wire, NULL);
	spawn(&group, receiver, wire, NULL);
	if (wire->ending != DRY)
		spawn(&group, cutter, wire, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	wire->world->done[BYTES] += wire->received;
	wire->world->done[WIRES]++;
	if (wire->ending == DRY) {
		CHECK_RC(wire->sender_rc, 0);
		CHECK_RC(wire->receiver_rc, ANYIO_END_OF_STREAM);
		CHECK_RC((int64_t)wire->received, (int64_t)wire->sent);
	} else {
		CHECK(wire->sender_rc == 0 || over(wire->sender_rc));
		CHECK(over(wire->receiver_rc));
		CHECK(wire->received <= wire->sent);
	}
}

/* One wire after another, until the world's operations are used up. */
static int wires(struct world *world, void (*connect)(struct anyio_stream *ends[2]))
{
	struct wire *wire = malloc(sizeof *wire);
	if (!wire)
		return -ENOMEM;
	do {
		*wire = (struct wire){ .world = world, .ending = draw(world, 4) };
		wire->cut_at = world->operations + draw(world, world->limit / 2);
		connect(wire->ends);
		wire_run(wire);
		pair_free(wire->ends);
	} while (more(world));
	free(wire);
	return 0;
}

int lane_tcp(void *arg)
{
	return wires(arg, connect_pair);
}

int lane_unix(void *arg)
{
	return wires(arg, connect_unix_pair);
}

static void connect_memory(struct anyio_stream *ends[2])
{
	CHECK_RC(anyio_stream_pair(1000, ends), 0);
}

int lane_memory(void *arg)
{
	return wires(arg, connect_memory);
}

/* The simulation knows no pipes. */
int lane_pipe(void *arg)
{
	struct world *world = arg;
	struct wire *wire = world->simulated ? NULL : malloc(sizeof *wire);
	if (!wire)
		return 0;
	*wire = (struct wire){ .world = world, .ending = DRY };
	CHECK_RC(pipe2(wire->fds, O_CLOEXEC | O_NONBLOCK), 0);
	wire_run(wire);
	free(wire);
	return 0;
}
