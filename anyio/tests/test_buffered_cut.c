/* The buffered reader in a long conversation in which every call may be cut off at any time. */
#include "sockets.h"

enum { LONG = 20000 };

static uint8_t long_byte(size_t at)
{
	return at % 97 == 96 ? '\n' : (uint8_t)('a' + at * 7 % 23);
}

static uint32_t draw(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

static int send_long(void *arg)
{
	uint32_t random = 7;
	int rc = 0;

	for (size_t at = 0; at < LONG && rc == 0;) {
		uint8_t piece[300];
		size_t size = 1 + draw(&random) % sizeof(piece);

		if (size > LONG - at)
			size = LONG - at;
		for (size_t i = 0; i < size; i++)
			piece[i] = long_byte(at + i);
		rc = anyio_stream_send(arg, piece, size);
		at += size;
		if (rc == 0 && draw(&random) % 4 == 0)
			rc = anyio_sleep(ANYIO_MILLISECOND);
	}
	anyio_stream_close(arg);
	return rc;
}

struct step {
	struct anyio_reader *reader;
	uint32_t kind;
	size_t size;
	uint8_t buffer[600];
	ssize_t rc;
};

static int step_run(void *arg)
{
	struct step *step = arg;

	if (step->kind == 0)
		step->rc = anyio_reader_receive(step->reader, step->buffer, step->size);
	else if (step->kind == 1)
		step->rc = anyio_reader_receive_exactly(step->reader, step->buffer, step->size);
	else
		step->rc = anyio_reader_receive_until(step->reader, "\n", 1, step->buffer, 600);
	return step->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* Checks what a step gave, and returns how far it went. */
static size_t step_check(const struct step *step, size_t at)
{
	size_t size = step->rc < 0 ? 0 : step->kind == 1 ? step->size : (size_t)step->rc;

	for (size_t i = 0; i < size; i++)
		if (step->buffer[i] != long_byte(at + i))
			conformance_fail(__FILE__, __LINE__, "another byte at %zu", at + i);
	if (step->kind != 2 || step->rc < 0)
		return size;
	CHECK_RC(long_byte(at + size), '\n');
	return size + 1;
}

static int cut_off_anywhere_the_sequence_holds(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	struct anyio_task_group group;
	struct step step = { .reader = &reader };
	uint32_t random = 3;
	size_t at = 0, cuts = 0;

	CHECK_RC(anyio_stream_pair(128, ends), 0);
	anyio_reader_init(&reader, ends[1], 100);
	anyio_task_group_enter(&group);
	spawn(&group, send_long, ends[0], NULL);
	while (at < LONG && conformance_failures() == 0) {
		step.kind = draw(&random) % 3;
		step.size = 1 + draw(&random) % 600;
		if (anyio_move_on_after(draw(&random) % 3 * ANYIO_MILLISECOND, step_run, &step) < 0)
			break;
		cuts += step.rc == ANYIO_CANCELLED;
		at += step_check(&step, at);
		if (step.rc == ANYIO_INCOMPLETE_READ)
			at += anyio_reader_buffered(&reader, NULL);
	}
	CHECK_RC(at, LONG);
	CHECK(cuts > 10);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(cut_off_anywhere_the_sequence_holds, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
