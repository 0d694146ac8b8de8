/*
 * The stream contract, checked from outside. Each check is straight-line code over a fresh pair; what it
 * leaves to a child task is what may wait: a send, since a stream need not hold a byte between its
 * ends, and a receive. This file has the harness, and what carries bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "check.h"

#define CHECK_TIME (60 * ANYIO_SECOND)

int check_expect(struct check *check, int line, const char *what, int64_t got, int64_t want)
{
	if (got == want)
		return 0;
	snprintf(check->maker->failure, sizeof(check->maker->failure),
		"%s is %lld (%s), not %lld (%s), in line %d", what, (long long)got,
		got < 0 ? anyio_error_name((int)got) : "a count", (long long)want,
		want < 0 ? anyio_error_name((int)want) : "a count", line);
	return -EPROTO;
}

/* xorshift64*. */
uint64_t check_draw(struct check *check, uint64_t below)
{
	check->random ^= check->random >> 12;
	check->random ^= check->random << 25;
	check->random ^= check->random >> 27;
	return (check->random * 0x2545f4914f6cdd1d >> 16) % below;
}

uint8_t check_byte(const struct check *check, uint64_t at)
{
	return check->block[at % CHECK_BLOCK];
}

/* As many parts as it takes for size bytes of the sequence. */
static int fill_parts(const struct check_use *use, size_t size, struct iovec *parts)
{
	uint64_t at = use->at;
	int count = 0;

	for (; size > 0; count++) {
		size_t run = CHECK_BLOCK - at % CHECK_BLOCK;

		parts[count].iov_base = use->check->block + at % CHECK_BLOCK;
		parts[count].iov_len = size < run ? size : run;
		at += parts[count].iov_len;
		size -= parts[count].iov_len;
	}
	return count;
}

int check_spawn(struct anyio_task_group *group, anyio_task_fn fn, struct check_use *use)
{
	struct anyio_task_options options = { .name = "check", .handle = &use->handle };

	return anyio_start_soon_with(group, fn, use, &options);
}

/* What a use came to is looked at by who started it: only a cancellation is the task's own. */
static int use_end(struct check_use *use)
{
	return use->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

int check_send(void *arg)
{
	struct check_use *use = arg;
	struct iovec parts[4];
	int count = use->size == 0 ? CHECK_CLOG : fill_parts(use, use->size, parts);

	use->rc = anyio_stream_sendv(
		use->stream, use->size == 0 ? use->check->clog : parts, count, &use->sent);
	use->at += use->sent;
	return use_end(use);
}

/* With empty parts among the others, in front and behind. */
static int send_piece(struct check_use *use, size_t size)
{
	size_t split = check_draw(use->check, size + 1);
	struct iovec parts[8] = { { 0 } };
	int count = 1 + fill_parts(use, split, parts + 1);
	size_t sent;
	int rc;

	use->at += split;
	parts[count++] = (struct iovec){ use->check->block, 0 };
	count += fill_parts(use, size - split, parts + count);
	parts[count++] = (struct iovec){ use->check->block, 0 };
	rc = anyio_stream_sendv(use->stream, parts, count, &sent);
	use->at += size - split;
	use->sent += sent;
	return rc == 0 && sent != size ? -EPROTO : rc;
}

int check_send_pieces(void *arg)
{
	struct check_use *use = arg;

	use->rc = 0;
	while (use->rc == 0 && use->sent < use->size) {
		size_t most = check_draw(use->check, 2) == 0 ? 40 : 9000;
		size_t piece = check_draw(use->check, most);

		if (piece > use->size - use->sent)
			piece = use->size - use->sent;
		use->rc = send_piece(use, piece);
	}
	return use_end(use);
}

struct loan {
	struct check_use *use;
	uint8_t *buffer;
	size_t size;
};

static void *lend(void *arg, size_t *size)
{
	struct loan *loan = arg;

	loan->use->borrowed++;
	*size = loan->size;
	return loan->buffer;
}

/* One receive; bytes that are not the next ones are -EBADMSG. */
static ssize_t receive_piece(struct check_use *use, uint8_t *buffer, size_t size)
{
	struct loan loan = { use, buffer, size };
	ssize_t n = use->lazy ? anyio_stream_receive_lazy(use->stream, lend, &loan)
			      : anyio_stream_receive(use->stream, buffer, size);

	if (n > (ssize_t)size)
		return -EOVERFLOW;
	for (ssize_t i = 0; i < n; i++)
		if (buffer[i] != check_byte(use->check, use->at++))
			return -EBADMSG;
	return n;
}

int check_receive(void *arg)
{
	struct check_use *use = arg;
	uint8_t buffer[256];

	use->rc = receive_piece(use, buffer, use->size);
	return use_end(use);
}

int check_receive_all(void *arg)
{
	struct check_use *use = arg;
	uint8_t buffer[8192];

	do {
		size_t most = check_draw(use->check, 4) == 0 ? 16 : sizeof(buffer);

		use->lazy = check_draw(use->check, 2) == 0;
		use->rc = receive_piece(use, buffer, 1 + check_draw(use->check, most));
	} while (use->rc > 0 && (use->size == 0 || use->at < use->size));
	return use_end(use);
}

struct run {
	check_fn fn;
	struct check *check;
};

static int run_body(void *arg)
{
	struct run *run = arg;

	return run->fn(run->check);
}

static int run_in_time(struct check *check, check_fn fn)
{
	struct run run = { fn, check };
	int rc = anyio_fail_after(CHECK_TIME, run_body, &run);

	if (rc != -ETIMEDOUT)
		return rc;
	snprintf(check->maker->failure, sizeof(check->maker->failure), "it hangs");
	return -EPROTO;
}

static int run_on_pair(struct check *check, bool flipped, check_fn fn)
{
	struct anyio_stream_maker *maker = check->maker;
	struct anyio_stream *ends[2];
	int rc = maker->make(maker->arg, ends);

	if (rc < 0)
		return rc;
	check->s = ends[flipped];
	check->r = ends[!flipped];
	rc = run_in_time(check, fn);
	if (maker->unmake != NULL) {
		maker->unmake(maker->arg, ends);
	} else {
		anyio_stream_free(ends[0]);
		anyio_stream_free(ends[1]);
	}
	return rc;
}

int check_run(struct anyio_stream_maker *maker, bool flipped, check_fn fn)
{
	struct check check = { .maker = maker, .random = maker->seed ^ 0x9e3779b97f4a7c15 };
	int rc = -ENOMEM;

	maker->failure[0] = '\0';
	check.block = anyio_malloc(CHECK_BLOCK);
	check.clog = anyio_calloc(CHECK_CLOG, sizeof(*check.clog));
	if (check.block != NULL && check.clog != NULL) {
		for (size_t i = 0; i < CHECK_BLOCK; i++)
			check.block[i] = (uint8_t)(i * 2654435761U >> 13);
		for (size_t i = 0; i < CHECK_CLOG; i++)
			check.clog[i] = (struct iovec){ check.block, CHECK_BLOCK };
		rc = run_on_pair(&check, flipped, fn);
	}
	anyio_free(check.block);
	anyio_free(check.clog);
	return rc;
}

/* Bytes, also both ways at once, then the end. */
static int check_traffic(struct check *check, bool both)
{
	enum { BYTES = 60000 };
	struct anyio_stream *from[] = { check->s, check->r }, *to[] = { check->r, check->s };
	struct check_use senders[2] = { 0 }, receivers[2] = { 0 };
	struct anyio_task_group group;
	int rc = 0;

	anyio_task_group_enter(&group);
	for (int i = 0; i < 1 + both && rc == 0; i++) {
		senders[i] = (struct check_use){ check, from[i], .size = BYTES };
		receivers[i] = (struct check_use){ check, to[i], .size = BYTES };
		rc = check_spawn(&group, check_send_pieces, &senders[i]);
		if (rc == 0)
			rc = check_spawn(&group, check_receive_all, &receivers[i]);
	}
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	for (int i = 0; i < 1 + both; i++) {
		EXPECT(check, senders[i].rc, 0);
		EXPECT(check, senders[i].sent, BYTES);
		EXPECT(check, receivers[i].rc > 0 ? 1 : receivers[i].rc, 1);
		EXPECT(check, receivers[i].at, BYTES);
	}
	anyio_stream_close(check->s);
	EXPECT(check, anyio_stream_receive(check->r, &(char){ 0 }, 1), check->maker->closed_is);
	return 0;
}

static int check_one_way_traffic(struct check *check)
{
	return check_traffic(check, false);
}

static int check_two_way_traffic(struct check *check)
{
	return check_traffic(check, true);
}

int anyio_check_one_way_stream(struct anyio_stream_maker *maker)
{
	int rc = check_run(maker, false, check_one_way_traffic);

	return rc < 0 ? rc : check_ends_one_way(maker, false);
}

int anyio_check_two_way_stream(struct anyio_stream_maker *maker)
{
	int rc = anyio_check_one_way_stream(maker);

	if (rc == 0)
		rc = check_run(maker, true, check_one_way_traffic);
	if (rc == 0)
		rc = check_ends_one_way(maker, true);
	return rc < 0 ? rc : check_run(maker, false, check_two_way_traffic);
}

int anyio_check_half_closeable_stream(struct anyio_stream_maker *maker)
{
	int rc = anyio_check_two_way_stream(maker);

	if (rc == 0)
		rc = check_ends_half_closeable(maker, false);
	return rc < 0 ? rc : check_ends_half_closeable(maker, true);
}
