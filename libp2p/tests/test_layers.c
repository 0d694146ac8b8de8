/*
 * One suite for every layer that gives a byte stream: raw TCP, the security channel, a stream of
 * the multiplexer. A layer is a way of making two connected ends; the cases do not know which.
 */
#include "layers.h"

enum { BIG = 3 << 20 };

/* ---- the cases ---- */

static int echo_case(void *arg, struct ends *ends)
{
	char back[6];

	OK(anyio_stream_send(ends->a, "hello", 6));
	OK(anyio_stream_receive_exactly(ends->b, back, 6));
	assert_string_equal(back, "hello");
	OK(anyio_stream_send(ends->b, "there", 6));
	OK(anyio_stream_receive_exactly(ends->a, back, 6));
	assert_string_equal(back, "there");
	return 0;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

struct transfer {
	struct anyio_stream *stream;
	size_t piece;
	size_t done;
	int rc;
};

static int send_big(void *arg)
{
	struct transfer *t = arg;
	uint8_t *piece = malloc(t->piece);

	while (t->done < BIG && t->rc == 0) {
		size_t n = t->piece < BIG - t->done ? t->piece : BIG - t->done;

		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(t->done + i);
		t->rc = anyio_stream_send(t->stream, piece, n);
		t->done += n;
	}
	free(piece);
	return t->rc;
}

static int receive_big(void *arg)
{
	struct transfer *t = arg;
	uint8_t *piece = malloc(t->piece);
	ssize_t n = 1;

	while (t->done < BIG && n > 0) {
		n = anyio_stream_receive(t->stream, piece, t->piece);
		for (ssize_t i = 0; i < n; i++)
			if (piece[i] != byte_at(t->done + (size_t)i)) {
				free(piece);
				return -EBADMSG;
			}
		t->done += n > 0 ? (size_t)n : 0;
	}
	free(piece);
	t->rc = n < 0 ? (int)n : t->done == BIG ? 0 : ANYIO_INCOMPLETE_READ;
	return t->rc;
}

static int both_ways(struct ends *ends, size_t send_piece, size_t receive_piece)
{
	struct transfer t[4] = {
		{ .stream = ends->a, .piece = send_piece },
		{ .stream = ends->b, .piece = receive_piece },
		{ .stream = ends->b, .piece = send_piece },
		{ .stream = ends->a, .piece = receive_piece },
	};

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_big, &t[0], "send a");
	anyio_start_soon(&group, receive_big, &t[1], "receive b");
	anyio_start_soon(&group, send_big, &t[2], "send b");
	anyio_start_soon(&group, receive_big, &t[3], "receive a");
	return anyio_task_group_exit(&group, 0);
}

static int big_case(void *arg, struct ends *ends)
{
	OK(both_ways(ends, 1 << 20, 100000));
	OK(both_ways(ends, 1009, 1 << 20));
	OK(both_ways(ends, 65519, 13));
	return 0;
}

static int gather_case(void *arg, struct ends *ends)
{
	enum { PIECES = 200 };
	struct iovec iov[PIECES];
	uint8_t data[PIECES * 3], back[PIECES * 3];
	size_t size = 0, sent = 0;

	for (size_t i = 0; i < PIECES; i++) {
		iov[i] = (struct iovec){ data + size, i % 4 };
		size += i % 4;
	}
	for (size_t i = 0; i < size; i++)
		data[i] = byte_at(i);
	OK(anyio_stream_sendv(ends->a, iov, PIECES, &sent));
	assert_int_equal(sent, size);
	OK(anyio_stream_receive_exactly(ends->b, back, size));
	assert_memory_equal(data, back, size);
	return 0;
}

static int half_close_case(void *arg, struct ends *ends)
{
	char back[4];

	OK(anyio_stream_send(ends->a, "abc", 4));
	OK(anyio_stream_send_eof(ends->a));
	OK(anyio_stream_receive_exactly(ends->b, back, 4));
	assert_int_equal(anyio_stream_receive(ends->b, back, 4), 0);
	assert_int_equal(anyio_stream_receive(ends->b, back, 4), 0);
	OK(anyio_stream_send(ends->b, "def", 4));
	OK(anyio_stream_send_eof(ends->b));
	OK(anyio_stream_receive_exactly(ends->a, back, 4));
	assert_string_equal(back, "def");
	assert_int_equal(anyio_stream_receive(ends->a, back, 4), 0);
	assert_true(anyio_stream_send(ends->a, "x", 1) < 0);
	return 0;
}

static int reset_case(void *arg, struct ends *ends)
{
	char byte;
	int rc;

	anyio_stream_abort(ends->a);
	rc = (int)anyio_stream_receive(ends->b, &byte, 1);
	assert_true(rc == -ECONNRESET || rc == ANYIO_BROKEN);
	assert_true(anyio_stream_send(ends->b, "x", 1) < 0);
	return 0;
}

static int close_b(void *arg)
{
	struct ends *ends = arg;

	OK(anyio_wait_all_tasks_blocked());
	anyio_stream_close(ends->b);
	return 0;
}

static int close_wakes_case(void *arg, struct ends *ends)
{
	char byte;

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, close_b, ends, "closer");
	assert_int_equal(anyio_stream_receive(ends->b, &byte, 1), ANYIO_CLOSED);
	return anyio_task_group_exit(&group, 0);
}

static int receive_forever(void *arg)
{
	char byte;

	return (int)anyio_stream_receive(arg, &byte, 1);
}

/* A receive that is cancelled loses nothing of what comes later. */
static int cancelled_receive_case(void *arg, struct ends *ends)
{
	char back[4];

	OK(anyio_move_on_after(ANYIO_MILLISECOND, receive_forever, ends->b));
	OK(anyio_stream_send(ends->a, "abc", 4));
	OK(anyio_stream_receive_exactly(ends->b, back, 4));
	assert_string_equal(back, "abc");
	return 0;
}

static void *lend(void *arg, size_t *size)
{
	*size = 4;
	return arg;
}

static int lazy_case(void *arg, struct ends *ends)
{
	char buffer[4], back[4];

	OK(anyio_stream_send(ends->a, "abcdef", 6));
	assert_in_range(anyio_stream_receive_lazy(ends->b, lend, buffer), 1, 4);
	OK(anyio_stream_receive_exactly(ends->b, back, 2));
	return 0;
}

struct case_of {
	const struct layer *layer;
	int (*body)(void *arg, struct ends *ends);
};

static int case_task(void *arg)
{
	struct case_of *c = arg;

	return c->layer->run(c->body, NULL);
}

static void run_on(const char *backend, uint64_t seed, anyio_task_fn task, void *arg)
{
	struct anyio_options options = { .backend = backend, .seeded = true, .seed = seed };
	int rc = anyio_run(task, arg, &options);

	if (rc < 0)
		fail_msg("%s on %s, seed %d", anyio_error_name(rc), backend, (int)seed);
}

static const char *const backends[] = { "uring", "uv", "sim" };

static void each_layer(int (*body)(void *arg, struct ends *ends), bool half_close)
{
	for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
		for (size_t i = 0; i < 3; i++)
			if (!half_close || layers[l].half_close)
				run_on(backends[i], 1, case_task,
					&(struct case_of){ &layers[l], body });
}

static void echo(void **state)
{
	each_layer(echo_case, false);
}

static void big_transfers(void **state)
{
	each_layer(big_case, false);
}

static void gather(void **state)
{
	each_layer(gather_case, false);
}

static void half_close(void **state)
{
	each_layer(half_close_case, true);
}

static void reset(void **state)
{
	each_layer(reset_case, true);
}

static void close_wakes_the_reader(void **state)
{
	each_layer(close_wakes_case, false);
}

static void cancelled_receive(void **state)
{
	each_layer(cancelled_receive_case, false);
}

static void lazy_receive(void **state)
{
	each_layer(lazy_case, false);
}

/* ---- many streams of one session ---- */

enum { STREAMS = 40 };

static int concurrent_body(void *arg)
{
	struct transfer t[2 * STREAMS];
	struct ends ends[STREAMS];
	int rc;

	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < STREAMS; i++) {
		open_pair(&ends[i]);
		t[2 * i] = (struct transfer){ .stream = ends[i].a, .piece = 50000 };
		t[2 * i + 1] = (struct transfer){ .stream = ends[i].b, .piece = 70000 };
		anyio_start_soon(&group, send_big, &t[2 * i], "send");
		anyio_start_soon(&group, receive_big, &t[2 * i + 1], "receive");
	}
	rc = anyio_task_group_exit(&group, 0);
	for (int i = 0; i < STREAMS; i++) {
		anyio_stream_free(ends[i].a);
		anyio_stream_free(ends[i].b);
	}
	return rc;
}

static int with_concurrent(void *arg)
{
	return with_sessions(concurrent_body, arg);
}

/* A stream that nobody reads fills its window and stops; the others go on. */
static int slow_reader_body(void *arg)
{
	struct transfer stuck, t[2];
	struct ends slow, fast;
	int rc;

	open_pair(&slow);
	open_pair(&fast);
	stuck = (struct transfer){ .stream = slow.a, .piece = 100000 };
	t[0] = (struct transfer){ .stream = fast.a, .piece = 100000 };
	t[1] = (struct transfer){ .stream = fast.b, .piece = 100000 };
	ANYIO_TASK_GROUP(outer);
	anyio_start_soon(&outer, send_big, &stuck, "stuck");
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_big, &t[0], "send");
	anyio_start_soon(&group, receive_big, &t[1], "receive");
	rc = anyio_task_group_exit(&group, 0);
	assert_true(stuck.done < BIG);
	anyio_task_group_cancel(&outer, "enough");
	OK(anyio_task_group_exit(&outer, 0));
	anyio_stream_free(slow.a);
	anyio_stream_free(slow.b);
	anyio_stream_free(fast.a);
	anyio_stream_free(fast.b);
	return rc;
}

static int with_slow_reader(void *arg)
{
	return with_sessions(slow_reader_body, arg);
}

/* Senders are cancelled wherever they happen to be; the other streams lose nothing. */
static int cancelled_senders_body(void *arg)
{
	struct transfer t[2] = { { .piece = 30000 }, { .piece = 30000 } };
	struct transfer doomed[8];
	struct ends ends[9];
	int rc;

	for (int i = 0; i < 9; i++)
		open_pair(&ends[i]);
	t[0].stream = ends[8].a;
	t[1].stream = ends[8].b;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_big, &t[0], "send");
	anyio_start_soon(&group, receive_big, &t[1], "receive");
	for (int round = 0; round < 20; round++) {
		ANYIO_TASK_GROUP(victims);
		for (int i = 0; i < 8; i++) {
			doomed[i] = (struct transfer){ .stream = ends[i].a, .piece = 10000 };
			anyio_start_soon(&victims, send_big, &doomed[i], "doomed");
		}
		for (int i = 0; i < round; i++)
			OK(anyio_checkpoint());
		anyio_task_group_cancel(&victims, "cancelled");
		OK(anyio_task_group_exit(&victims, 0));
	}
	rc = anyio_task_group_exit(&group, 0);
	for (int i = 0; i < 9; i++) {
		anyio_stream_free(ends[i].a);
		anyio_stream_free(ends[i].b);
	}
	return rc;
}

static int with_cancelled_senders(void *arg)
{
	return with_sessions(cancelled_senders_body, arg);
}

static void each_backend(anyio_task_fn task, int seeds)
{
	for (size_t i = 0; i < 3; i++)
		for (int seed = 1; seed <= (i == 2 ? seeds : 1); seed++)
			run_on(backends[i], (uint64_t)seed, task, NULL);
}

static void concurrent_streams(void **state)
{
	each_backend(with_concurrent, 1);
}

static void slow_reader(void **state)
{
	each_backend(with_slow_reader, 3);
}

static void cancelled_senders(void **state)
{
	each_backend(with_cancelled_senders, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo),
		cmocka_unit_test(big_transfers),
		cmocka_unit_test(gather),
		cmocka_unit_test(half_close),
		cmocka_unit_test(reset),
		cmocka_unit_test(close_wakes_the_reader),
		cmocka_unit_test(cancelled_receive),
		cmocka_unit_test(lazy_receive),
		cmocka_unit_test(concurrent_streams),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(cancelled_senders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
