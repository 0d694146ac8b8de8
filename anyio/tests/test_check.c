/* The stream contract over every kind of stream there is, and that its checks find what is wrong. */
#include "processes.h"
#include "sockets.h"
#include <anyio/testing.h>

#define CHECK_STREAM(check, ...)                                                                   \
	do {                                                                                       \
		struct anyio_stream_maker check_maker = { __VA_ARGS__ };                           \
		int check_rc = check(&check_maker);                                                \
		if (check_rc != 0)                                                                 \
			conformance_fail(__FILE__, __LINE__, "%s: %s, %s", #check,                 \
				anyio_error_name(check_rc), check_maker.failure);                  \
	} while (0)

static int make_lockstep(void *arg, struct anyio_stream *ends[2])
{
	return anyio_lockstep_pair(ends);
}

static int contract_of_lockstep(void *arg)
{
	CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_lockstep, .seed = 1);
	return 0;
}

static int make_memory(void *arg, struct anyio_stream *ends[2])
{
	return anyio_stream_pair(*(size_t *)arg, ends);
}

static int contract_of_memory(void *arg)
{
	size_t capacities[] = { 1, 4096, 0 };

	for (int i = 0; i < 3; i++)
		CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_memory,
			.arg = &capacities[i], .seed = (uint64_t)i);
	return 0;
}

static int make_tcp(void *arg, struct anyio_stream *ends[2])
{
	connect_pair(ends);
	return 0;
}

static int contract_of_tcp(void *arg)
{
	CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_tcp, .seed = 2);
	return 0;
}

static int make_unix(void *arg, struct anyio_stream *ends[2])
{
	connect_unix_pair(ends);
	return 0;
}

static int contract_of_unix(void *arg)
{
	CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_unix, .seed = 3);
	until_alone(); /* some were freed with bytes unread */
	return 0;
}

/* Two pairs, of which each stapled stream has one end to send and one to receive. */
struct staples {
	struct anyio_stream *there[2], *back[2];
	struct anyio_stapled stapled[2];
};

static int make_stapled(void *arg, struct anyio_stream *ends[2])
{
	struct staples *self = arg;

	CHECK_RC(anyio_stream_pair(1000, self->there), 0);
	CHECK_RC(anyio_lockstep_pair(self->back), 0);
	ends[0] = anyio_staple(&self->stapled[0], self->there[0], self->back[1]);
	ends[1] = anyio_staple(&self->stapled[1], self->back[0], self->there[1]);
	return 0;
}

static void unmake_stapled(void *arg, struct anyio_stream *ends[2])
{
	struct staples *self = arg;

	pair_free(ends);
	pair_free(self->there);
	pair_free(self->back);
}

static int contract_of_stapled(void *arg)
{
	struct staples staples;

	CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_stapled,
		.unmake = unmake_stapled, .arg = &staples, .seed = 4);
	return 0;
}

struct buffered {
	struct anyio_stream *ends[2];
	struct anyio_reader readers[2];
};

static int make_buffered(void *arg, struct anyio_stream *ends[2])
{
	struct buffered *self = arg;

	CHECK_RC(anyio_stream_pair(5000, self->ends), 0);
	for (int i = 0; i < 2; i++) {
		anyio_reader_init(&self->readers[i], self->ends[i], 3000);
		ends[i] = anyio_reader_stream(&self->readers[i]);
	}
	return 0;
}

static void unmake_buffered(void *arg, struct anyio_stream *ends[2])
{
	struct buffered *self = arg;

	pair_free(ends);
	pair_free(self->ends);
	anyio_reader_destroy(&self->readers[0]);
	anyio_reader_destroy(&self->readers[1]);
}

static int contract_of_buffered(void *arg)
{
	struct buffered buffered;

	CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_buffered,
		.unmake = unmake_buffered, .arg = &buffered, .seed = 5);
	return 0;
}

/* Two children that copy, one each way. */
struct copiers {
	struct anyio_process *there, *back;
	struct anyio_stapled stapled[2];
};

static int make_pipes(void *arg, struct anyio_stream *ends[2])
{
	struct copiers *self = arg;

	self->there = shell("exec cat", OPTIONS(.in = PIPE, .out = PIPE, .grace = -1));
	self->back = shell("exec cat", OPTIONS(.in = PIPE, .out = PIPE, .grace = -1));
	ends[0] = anyio_staple(
		&self->stapled[0], anyio_process_in(self->there), anyio_process_out(self->back));
	ends[1] = anyio_staple(
		&self->stapled[1], anyio_process_in(self->back), anyio_process_out(self->there));
	return 0;
}

static void unmake_pipes(void *arg, struct anyio_stream *ends[2])
{
	struct copiers *self = arg;

	pair_free(ends);
	anyio_process_close(self->there);
	anyio_process_close(self->back);
}

static int contract_of_pipes(void *arg)
{
	struct copiers copiers;

	CHECK_STREAM(anyio_check_half_closeable_stream, .make = make_pipes, .unmake = unmake_pipes,
		.arg = &copiers, .seed = 6);
	no_children();
	return 0;
}

/* A pair with one fault in each, for which every check that is there has to be good. */
enum fault {
	SOUND,
	ANOTHER_BYTE,
	TOO_EARLY_AN_END,
	NO_END,
	CALLS_A_CANCELLATION_OTHERWISE,
	SAYS_IT_SENT_WHEN_CANCELLED,
	WRONG_COUNT,
	SENDS_IN_PART,
	TWO_RECEIVERS,
	TWO_SENDERS,
	BORROWS_TOO_SOON,
	LOSES_WITHOUT_A_BUFFER,
	SENDS_WHEN_CLOSED,
	RECEIVES_WHEN_CLOSED,
	NEVER_BROKEN,
	ABORTS_NOTHING,
	END_CLOSES_BOTH,
	SENDS_AFTER_THE_END,
	END_UNDER_A_SENDER,
	FAULTS
};

struct faulty {
	struct anyio_stream stream;
	struct anyio_stream *inner;
	enum fault fault;
	size_t received;
	bool receiving, sending, closed, ended;
};

static struct faulty *faulty_of(struct anyio_stream *stream)
{
	return (struct faulty *)stream;
}

static ssize_t faulty_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	struct faulty *self = faulty_of(stream);
	bool first = !self->receiving;
	ssize_t n;

	if (self->fault == RECEIVES_WHEN_CLOSED && self->closed)
		return 0;
	if (self->fault == TWO_RECEIVERS && self->receiving)
		return 0;
	if (self->fault == TOO_EARLY_AN_END && self->received > 9000)
		return 0;
	self->receiving = true;
	n = anyio_stream_receive(self->inner, buffer, size);
	if (first)
		self->receiving = false;
	if (n == ANYIO_CANCELLED && self->fault == CALLS_A_CANCELLATION_OTHERWISE)
		return -EINTR;
	if (n == 0 && self->fault == NO_END)
		return anyio_sleep_forever();
	self->received += n > 0 ? (size_t)n : 0;
	if (self->fault == ANOTHER_BYTE && n > 0 && self->received > 9000)
		((uint8_t *)buffer)[n - 1] ^= 1;
	return n;
}

static ssize_t faulty_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	struct faulty *self = faulty_of(stream);
	uint8_t one;
	size_t size;
	void *buffer;

	if (self->fault == BORROWS_TOO_SOON) {
		buffer = borrow(arg, &size);
		return buffer == NULL ? -ENOMEM : faulty_receive(stream, buffer, size);
	}
	if (self->fault == LOSES_WITHOUT_A_BUFFER) {
		ssize_t n = faulty_receive(stream, &one, 1);

		buffer = n <= 0 ? NULL : borrow(arg, &size);
		if (buffer == NULL)
			return n <= 0 ? n : -ENOMEM;
		*(uint8_t *)buffer = one;
		return 1;
	}
	if (self->fault == TWO_RECEIVERS && !self->receiving) {
		ssize_t n;

		self->receiving = true;
		n = anyio_stream_receive_lazy(self->inner, borrow, arg);
		self->receiving = false;
		return n;
	}
	return anyio_stream_receive_lazy(self->inner, borrow, arg);
}

static int faulty_sendv(
	struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct faulty *self = faulty_of(stream);
	bool first = !self->sending;
	int rc;

	*sent = 0;
	if ((self->fault == SENDS_WHEN_CLOSED && self->closed) ||
		(self->fault == SENDS_AFTER_THE_END && self->ended) ||
		(self->fault == TWO_SENDERS && self->sending))
		return 0;
	if (self->fault == SENDS_IN_PART && count > 3)
		count -= 2;
	self->sending = true;
	rc = anyio_stream_sendv(self->inner, iov, count, sent);
	if (first)
		self->sending = false;
	if (rc == ANYIO_CANCELLED && self->fault == SAYS_IT_SENT_WHEN_CANCELLED && *sent == 0)
		*sent = 1;
	if (rc == ANYIO_CANCELLED && self->fault == WRONG_COUNT)
		*sent /= 2;
	if (rc == ANYIO_BROKEN && self->fault == NEVER_BROKEN)
		rc = 0;
	return rc;
}

static int faulty_send_eof(struct anyio_stream *stream)
{
	struct faulty *self = faulty_of(stream);

	self->ended = true;
	if (self->fault == END_CLOSES_BOTH)
		anyio_stream_close(self->inner);
	if (self->fault == END_UNDER_A_SENDER && self->sending)
		return 0;
	return self->fault == END_CLOSES_BOTH ? 0 : anyio_stream_send_eof(self->inner);
}

static void faulty_close(struct anyio_stream *stream)
{
	faulty_of(stream)->closed = true;
	anyio_stream_close(faulty_of(stream)->inner);
}

static void faulty_abort(struct anyio_stream *stream)
{
	if (faulty_of(stream)->fault != ABORTS_NOTHING)
		anyio_stream_abort(faulty_of(stream)->inner);
}

static void faulty_destroy(struct anyio_stream *stream)
{
	anyio_stream_free(faulty_of(stream)->inner);
	free(stream);
}

static int make_faulty(void *arg, struct anyio_stream *ends[2])
{
	static const struct anyio_stream_ops ops = {
		.receive = faulty_receive,
		.receive_lazy = faulty_lazy,
		.sendv = faulty_sendv,
		.send_eof = faulty_send_eof,
		.close = faulty_close,
		.abort = faulty_abort,
		.destroy = faulty_destroy,
	};
	struct anyio_stream *inner[2];

	CHECK_RC(anyio_stream_pair(1000, inner), 0);
	for (int i = 0; i < 2; i++) {
		struct faulty *self = calloc(1, sizeof(*self));

		self->stream.ops = &ops;
		self->inner = inner[i];
		self->fault = *(enum fault *)arg;
		ends[i] = &self->stream;
	}
	return 0;
}

static int every_fault_is_found(void *arg)
{
	for (int i = 0; i < FAULTS; i++) {
		enum fault fault = (enum fault)i;
		struct anyio_stream_maker maker = { make_faulty, .arg = &fault };
		int rc = anyio_check_half_closeable_stream(&maker);

		if (rc != (fault == SOUND ? 0 : -EPROTO))
			conformance_fail(__FILE__, __LINE__, "fault %d: %s, %s", i,
				anyio_error_name(rc), maker.failure);
		CHECK((maker.failure[0] == '\0') == (fault == SOUND));
	}
	return 0;
}

static int make_nothing(void *arg, struct anyio_stream *ends[2])
{
	return -EMFILE;
}

static int errors_of_the_maker_and_of_memory_come_back(void *arg)
{
	struct anyio_stream_maker maker = { make_nothing };

	CHECK_RC(anyio_check_two_way_stream(&maker), -EMFILE);
	for (int at = 1; at <= 2; at++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, (uint64_t)at, 0);
		CHECK_RC(anyio_check_one_way_stream(&maker), -ENOMEM);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(contract_of_lockstep, CONFORM_MOCK),
		CONFORM(contract_of_memory, CONFORM_MOCK),
		CONFORM(contract_of_tcp, 0),
		CONFORM(contract_of_unix, 0),
		CONFORM(contract_of_stapled, CONFORM_MOCK),
		CONFORM(contract_of_buffered, CONFORM_MOCK),
		CONFORM(contract_of_pipes, CONFORM_NO_SIM),
		CONFORM(every_fault_is_found, CONFORM_MOCK),
		CONFORM(errors_of_the_maker_and_of_memory_come_back, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
