/* One stream of two halves. */
#include "sockets.h"

/* A half that cannot say that it sends no more. */
static int no_eof(struct anyio_stream *stream)
{
	return -EOPNOTSUPP;
}

static int sends_by_one_and_receives_by_the_other(void *arg)
{
	struct anyio_stream *there[2], *back[2], *stream;
	struct anyio_stapled stapled;
	char buffer[8];

	CHECK_RC(anyio_stream_pair(0, there), 0);
	CHECK_RC(anyio_stream_pair(0, back), 0);
	stream = anyio_staple(&stapled, there[0], back[1]);
	CHECK_RC(anyio_stream_send(stream, "out", 3), 0);
	CHECK_RC(anyio_stream_send(back[0], "in", 2), 0);
	CHECK_RC(anyio_stream_receive(there[1], buffer, 8), 3);
	CHECK(memcmp(buffer, "out", 3) == 0);
	CHECK_RC(anyio_stream_receive(stream, buffer, 8), 2);
	CHECK(memcmp(buffer, "in", 2) == 0);
	CHECK_RC(anyio_stream_send_eof(stream), 0);
	CHECK_RC(anyio_stream_receive(there[1], buffer, 8), 0);
	CHECK_RC(anyio_stream_send(stream, "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_send(back[0], "late", 4), 0);
	CHECK_RC(anyio_stream_receive(stream, buffer, 8), 4);
	anyio_stream_free(stream);
	CHECK_RC(anyio_stream_receive(back[1], buffer, 8), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_send(back[0], "x", 1), ANYIO_BROKEN);
	pair_free(there);
	pair_free(back);
	return 0;
}

static int end_of_a_half_without_one_is_its_closing(void *arg)
{
	struct anyio_stream *there[2], *stream;
	struct anyio_stapled stapled;
	struct anyio_stream_ops ops;
	const struct anyio_stream_ops *real;
	char byte;

	CHECK_RC(anyio_stream_pair(0, there), 0);
	real = there[0]->ops;
	ops = *real;
	ops.send_eof = no_eof;
	there[0]->ops = &ops;
	stream = anyio_staple(&stapled, there[0], there[1]);
	CHECK_RC(anyio_stream_send(stream, "x", 1), 0);
	CHECK_RC(anyio_stream_send_eof(stream), 0);
	CHECK_RC(anyio_stream_receive(stream, &byte, 1), 1);
	CHECK_RC(anyio_stream_receive(stream, &byte, 1), 0);
	CHECK_RC(anyio_stream_send(stream, "x", 1), ANYIO_CLOSED);
	there[0]->ops = real;
	pair_free(there);
	return 0;
}

static in_port_t local_port(const struct anyio_stream *stream)
{
	struct anyio_address address;

	CHECK_RC(anyio_stream_local_address(stream, &address), 0);
	return address.ip4.sin_port;
}

static int attributes_are_those_of_both(void *arg)
{
	struct anyio_stream *one[2], *other[2], *memory[2];
	struct anyio_stapled stapled;

	connect_pair(one);
	connect_pair(other);
	CHECK_RC(anyio_stream_pair(0, memory), 0);
	CHECK(local_port(anyio_staple(&stapled, one[0], other[0])) == local_port(other[0]));
	CHECK(local_port(anyio_staple(&stapled, one[0], memory[0])) == local_port(one[0]));
	CHECK_RC(anyio_stream_attribute(anyio_staple(&stapled, memory[0], memory[1]),
			 ANYIO_ATTRIBUTE_LOCAL_ADDRESS, NULL, 0),
		-ENODATA);
	pair_free(one);
	pair_free(other);
	pair_free(memory);
	return 0;
}

static int aborting_aborts_both(void *arg)
{
	struct anyio_stream *there[2], *back[2], *stream;
	struct anyio_stapled stapled;
	char byte;

	CHECK_RC(anyio_stream_pair(0, there), 0);
	CHECK_RC(anyio_stream_pair(0, back), 0);
	stream = anyio_staple(&stapled, there[0], back[1]);
	CHECK_RC(anyio_stream_send(stream, "x", 1), 0);
	anyio_stream_abort(stream);
	CHECK_RC(anyio_stream_receive(there[1], &byte, 1), ANYIO_BROKEN);
	CHECK_RC(anyio_stream_send(back[0], "x", 1), ANYIO_BROKEN);
	pair_free(there);
	pair_free(back);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(sends_by_one_and_receives_by_the_other, CONFORM_MOCK),
		CONFORM(end_of_a_half_without_one_is_its_closing, CONFORM_MOCK),
		CONFORM(attributes_are_those_of_both, 0),
		CONFORM(aborting_aborts_both, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
