/*
 * The stream contract where a call or a stream ends: busy, cancelled, closed, aborted, at its end. What is
 * found while tasks are about is kept, and judged when they are through.
 */
#include <errno.h>
#include "check.h"

/* Sends in a task what this one receives: the two wait for each other as they like. */
static int pass_bytes(struct check *check, struct check_use *sender, struct check_use *receiver)
{
	struct anyio_task_group group;
	uint64_t until = receiver->at + sender->size;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, check_send, sender);
	do
		if (rc == 0)
			rc = check_receive(receiver);
	while (rc == 0 && receiver->rc > 0 && receiver->at < until);
	if (rc == 0 && receiver->rc <= 0)
		anyio_task_group_cancel(&group, "nothing is received");
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, receiver->rc > 0 ? 1 : receiver->rc, 1);
	EXPECT(check, receiver->at, until);
	EXPECT(check, sender->rc, 0);
	EXPECT(check, sender->sent, sender->size);
	return 0;
}

static int check_small_things(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 100 };
	struct check_use receiver = { check, check->r, .size = 7 };
	int rc = pass_bytes(check, &sender, &receiver);

	if (rc < 0)
		return rc;
	EXPECT(check, anyio_stream_receive(check->r, &(char){ 0 }, 0), -EINVAL);
	EXPECT(check, anyio_stream_sendv(check->s, NULL, -1, NULL), -EINVAL);
	EXPECT(check, anyio_stream_send(check->s, "x", SIZE_MAX), -EINVAL);
	/* Nothing is no end. */
	EXPECT(check, anyio_stream_send(check->s, NULL, 0), 0);
	EXPECT(check, anyio_stream_sendv(check->s, NULL, 0, NULL), 0);
	receiver.lazy = true;
	return pass_bytes(check, &sender, &receiver);
}

/* A second receiver is turned away; the first, while it waits, holds no buffer where it need not. */
static int check_receiver_waits(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 20 };
	struct check_use receiver = { check, check->r, .size = 20, .lazy = true };
	struct check_use second = receiver, third = { check, check->r, .size = 20 };
	struct anyio_task_group group;
	unsigned borrowed = 0;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, check_receive, &receiver);
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	if (check->r->ops->receive_lazy != NULL)
		borrowed = receiver.borrowed;
	check_receive(&second);
	check_receive(&third);
	if (rc == 0)
		rc = check_spawn(&group, check_send, &sender);
	if (rc == 0)
		rc = anyio_task_handle_wait(&receiver.handle);
	while (rc == 0 && receiver.rc > 0 && receiver.at < 20)
		rc = check_receive(&receiver);
	if (receiver.rc <= 0)
		anyio_task_group_cancel(&group, "nothing is received");
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, second.rc, ANYIO_BUSY);
	EXPECT(check, third.rc, ANYIO_BUSY);
	EXPECT(check, borrowed, 0);
	EXPECT(check, receiver.at, 20);
	return 0;
}

static void *lend_nothing(void *arg, size_t *size)
{
	return NULL;
}

static int check_no_buffer(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 20 };
	struct check_use receiver = { check, check->r, .size = 20 };
	struct anyio_task_group group;
	ssize_t without = 0;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, check_send, &sender);
	if (rc == 0)
		without = anyio_stream_receive_lazy(check->r, lend_nothing, NULL);
	do
		if (rc == 0)
			rc = check_receive(&receiver);
	while (rc == 0 && receiver.rc > 0 && receiver.at < 20);
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, without, -ENOMEM);
	EXPECT(check, receiver.at, 20);
	return 0;
}

/* Runs fn in a task, and cancels it once it waits. */
static int run_cut_off(struct check *check, anyio_task_fn fn, struct check_use *use)
{
	struct anyio_task_group group;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, fn, use);
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&use->handle, "cut off");
	return anyio_task_group_exit(&group, rc);
}

static int check_cancelled_receive(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 100 };
	struct check_use receiver = { check, check->r, .size = 100 };

	for (int i = 0; i < 4; i++) {
		int rc;

		receiver.lazy = i % 2 == 1;
		rc = run_cut_off(check, check_receive, &receiver);
		if (rc < 0)
			return rc;
		EXPECT(check, receiver.rc, ANYIO_CANCELLED);
		rc = pass_bytes(check, &sender, &receiver);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* In a scope that is cancelled already every call says so, again and again, and does nothing. */
static int check_cancelled_before(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 100, .sent = 1 };
	struct check_use receiver = { check, check->r, .size = 100 };
	struct anyio_cancel_scope scope;
	ssize_t got[4];

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "before");
	check_send(&sender);
	check_receive(&receiver);
	got[0] = sender.rc;
	got[1] = receiver.rc;
	receiver.lazy = true;
	check_receive(&receiver);
	check_send(&sender);
	got[2] = receiver.rc;
	got[3] = sender.rc;
	anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED);
	for (int i = 0; i < 4; i++)
		EXPECT(check, got[i], ANYIO_CANCELLED);
	EXPECT(check, sender.sent, 0);
	return pass_bytes(check, &sender, &receiver);
}

static int send_and_close(void *arg)
{
	struct check_use *use = arg;
	int rc = check_send(use);

	anyio_stream_close(use->stream);
	return rc;
}

static int check_data_then_end(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 100 };
	struct check_use receiver = { check, check->r, .size = 60 };
	struct anyio_task_group group;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, send_and_close, &sender);
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	do
		if (rc == 0)
			rc = check_receive(&receiver);
	while (rc == 0 && receiver.rc > 0);
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, sender.rc, 0);
	EXPECT(check, receiver.at, 100);
	EXPECT(check, receiver.rc, check->maker->closed_is);
	EXPECT(check, anyio_stream_receive(check->r, &(char){ 0 }, 1), check->maker->closed_is);
	anyio_stream_close(check->s);
	EXPECT(check, anyio_stream_send(check->s, "x", 1), ANYIO_CLOSED);
	return 0;
}

/* Who sends to nobody hears of it in the end, though news may take its time. */
static int expect_broken(struct check *check)
{
	int rc = 0;

	for (int i = 0; i < CHECK_CLOG && rc == 0; i++)
		rc = anyio_stream_send(check->s, check->block, CHECK_BLOCK);
	EXPECT(check, rc, ANYIO_BROKEN);
	return 0;
}

/* Closes or aborts a stream once a task waits in it, or in the other one. */
static int end_under(struct check *check, anyio_task_fn fn, struct check_use *use,
	struct anyio_stream *stream, void (*end)(struct anyio_stream *))
{
	struct anyio_task_group group;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, fn, use);
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	end(stream);
	return anyio_task_group_exit(&group, rc);
}

static int check_receiver_closes(struct check *check)
{
	struct check_use receiver = { check, check->r, .size = 10 };
	int rc = end_under(check, check_receive, &receiver, check->r, anyio_stream_close);

	if (rc < 0)
		return rc;
	EXPECT(check, receiver.rc, ANYIO_CLOSED);
	anyio_stream_close(check->r);
	EXPECT(check, anyio_stream_receive(check->r, &(char){ 0 }, 1), ANYIO_CLOSED);
	check_receive(&receiver);
	EXPECT(check, receiver.rc, ANYIO_CLOSED);
	receiver.lazy = true;
	check_receive(&receiver);
	EXPECT(check, receiver.rc, ANYIO_CLOSED);
	return expect_broken(check);
}

/* The other side's end: nothing, or that it broke. */
static int check_sender_aborts(struct check *check)
{
	struct check_use receiver = { check, check->r, .size = 10 };
	int rc = end_under(check, check_receive, &receiver, check->s, anyio_stream_abort);

	if (rc < 0)
		return rc;
	if (receiver.rc != check->maker->closed_is)
		EXPECT(check, receiver.rc, ANYIO_BROKEN);
	EXPECT(check, anyio_stream_send(check->s, "x", 1), ANYIO_CLOSED);
	return 0;
}

/* What was sent before it was cut off, and no more, arrives. */
static int expect_what_was_sent(struct check *check, const struct check_use *sender)
{
	struct check_use receiver = { check, check->r };
	struct anyio_task_group group;
	int rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, check_receive_all, &receiver);
	anyio_stream_close(check->s);
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, receiver.rc, check->maker->closed_is);
	EXPECT(check, receiver.at, (int64_t)sender->sent);
	return 0;
}

static int check_clogged(struct check *check)
{
	struct check_use sender = { check, check->s };
	struct anyio_task_group group;
	size_t second_sent = 1;
	int second = 0, rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, check_send, &sender);
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	if (rc == 0)
		second = anyio_stream_sendv(check->s, check->clog, 1, &second_sent);
	anyio_task_handle_cancel(&sender.handle, "cut off");
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, second, ANYIO_BUSY);
	EXPECT(check, second_sent, 0);
	EXPECT(check, sender.rc, ANYIO_CANCELLED);
	return check->maker->cut_breaks ? 0 : expect_what_was_sent(check, &sender);
}

static int check_sender_closes_clogged(struct check *check)
{
	struct check_use sender = { check, check->s };
	int rc = end_under(check, check_send, &sender, check->s, anyio_stream_close);

	if (rc < 0)
		return rc;
	EXPECT(check, sender.rc, ANYIO_CLOSED);
	return 0;
}

static int check_receiver_closes_clogged(struct check *check)
{
	struct check_use sender = { check, check->s };
	int rc = end_under(check, check_send, &sender, check->r, anyio_stream_close);

	if (rc < 0)
		return rc;
	EXPECT(check, sender.rc, ANYIO_BROKEN);
	return 0;
}

static int check_receiver_aborts_clogged(struct check *check)
{
	struct check_use sender = { check, check->s };
	int rc = end_under(check, check_send, &sender, check->r, anyio_stream_abort);

	if (rc < 0)
		return rc;
	EXPECT(check, sender.rc, ANYIO_BROKEN);
	EXPECT(check, anyio_stream_receive(check->r, &(char){ 0 }, 1), ANYIO_CLOSED);
	return 0;
}

static int check_all(
	struct anyio_stream_maker *maker, bool flipped, const check_fn *checks, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = check_run(maker, flipped, checks[i]);
	return rc;
}

int check_ends_one_way(struct anyio_stream_maker *maker, bool flipped)
{
	static const check_fn checks[] = {
		check_small_things,
		check_receiver_waits,
		check_no_buffer,
		check_cancelled_receive,
		check_cancelled_before,
		check_data_then_end,
		check_receiver_closes,
		check_sender_aborts,
		check_clogged,
		check_sender_closes_clogged,
		check_receiver_closes_clogged,
		check_receiver_aborts_clogged,
	};

	return check_all(maker, flipped, checks, sizeof(checks) / sizeof(*checks));
}

/* The other direction goes on. */
static int check_eof(struct check *check)
{
	struct check_use sender = { check, check->s, .size = 100 };
	struct check_use receiver = { check, check->r, .size = 100 };
	struct check_use back = { check, check->r, .size = 100 };
	struct check_use front = { check, check->s, .size = 100 };
	int rc = pass_bytes(check, &sender, &receiver);

	if (rc < 0)
		return rc;
	EXPECT(check, anyio_stream_send_eof(check->s), 0);
	EXPECT(check, anyio_stream_send_eof(check->s), 0);
	check_send(&sender);
	EXPECT(check, sender.rc, ANYIO_CLOSED);
	EXPECT(check, sender.sent, 0);
	for (int i = 0; i < 2; i++) {
		check_receive(&receiver);
		EXPECT(check, receiver.rc, 0);
		rc = pass_bytes(check, &back, &front);
		if (rc < 0)
			return rc;
	}
	anyio_stream_close(check->r);
	EXPECT(check, anyio_stream_send_eof(check->r), ANYIO_CLOSED);
	check_receive(&front);
	EXPECT(check, front.rc, check->maker->closed_is);
	return 0;
}

static int check_eof_clogged(struct check *check)
{
	struct check_use sender = { check, check->s };
	struct anyio_task_group group;
	int eof = 0, rc;

	anyio_task_group_enter(&group);
	rc = check_spawn(&group, check_send, &sender);
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	if (rc == 0)
		eof = anyio_stream_send_eof(check->s);
	anyio_task_group_cancel(&group, "cut off");
	rc = anyio_task_group_exit(&group, rc);
	if (rc < 0)
		return rc;
	EXPECT(check, eof, ANYIO_BUSY);
	return 0;
}

int check_ends_half_closeable(struct anyio_stream_maker *maker, bool flipped)
{
	static const check_fn checks[] = { check_eof, check_eof_clogged };

	return check_all(maker, flipped, checks, sizeof(checks) / sizeof(*checks));
}
