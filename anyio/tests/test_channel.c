/* Memory object streams. */
#include "conformance.h"
#include <errno.h>
#include <anyio/testing.h>

static void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = "child", .handle = handle };

	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

struct channel {
	struct anyio_sender *sender;
	struct anyio_receiver *receiver;
};

static struct channel channel_make(size_t capacity, void (*drop)(void *item))
{
	struct channel channel;

	CHECK_RC(anyio_channel_create(
			 sizeof(int), capacity, drop, &channel.sender, &channel.receiver),
		0);
	return channel;
}

static void channel_close(struct channel *channel)
{
	anyio_sender_close(channel->sender);
	anyio_receiver_close(channel->receiver);
}

struct receiving {
	struct anyio_receiver *receiver;
	struct anyio_task_handle handle;
	int rc, item;
};

static int receive_one(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_receive(self->receiver, &self->item);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

struct sending {
	struct anyio_sender *sender;
	struct anyio_task_handle handle;
	int rc, item;
};

static int send_one(void *arg)
{
	struct sending *self = arg;

	self->rc = anyio_send(self->sender, &self->item);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* The cancellation comes before the send, or between the handoff and the receiver's turn: either
 * way the item is somewhere. */
static int c43_cancelled_receive_never_eats_an_item(void *arg)
{
	for (int late = 0; late < 2; late++) {
		struct channel channel = channel_make(1, NULL);
		struct receiving self = { .receiver = channel.receiver };
		struct anyio_task_group group;
		int item = 7, got = 0;

		anyio_task_group_enter(&group);
		spawn(&group, receive_one, &self, &self.handle);
		anyio_wait_all_tasks_blocked();
		if (!late)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_send_nowait(channel.sender, &item), 0);
		if (late)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		if (anyio_receive_nowait(channel.receiver, &got) < 0)
			got = self.rc == 0 ? self.item : 0;
		else
			CHECK_RC(self.rc, ANYIO_CANCELLED);
		CHECK_RC(got, 7);
		channel_close(&channel);
	}
	return 0;
}

static int cancelled_send_sends_nothing(void *arg)
{
	struct channel channel = channel_make(0, NULL);
	struct sending self = { .sender = channel.sender, .item = 7 };
	struct anyio_task_group group;
	int got;

	anyio_task_group_enter(&group);
	spawn(&group, send_one, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_receive_nowait(channel.receiver, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	channel_close(&channel);
	return 0;
}

static int c44_last_sender_closing_ends_the_stream(void *arg)
{
	struct channel channel = channel_make(4, NULL);
	struct receiving waiting[2];
	struct anyio_task_group group;
	int got;

	anyio_task_group_enter(&group);
	for (int i = 0; i < 2; i++) {
		waiting[i] = (struct receiving){ .receiver = channel.receiver };
		spawn(&group, receive_one, &waiting[i], NULL);
	}
	anyio_wait_all_tasks_blocked();
	anyio_sender_close(channel.sender);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting[0].rc, ANYIO_END_OF_STREAM);
	CHECK_RC(waiting[1].rc, ANYIO_END_OF_STREAM);
	CHECK_RC(anyio_receive(channel.receiver, &got), ANYIO_END_OF_STREAM);
	anyio_receiver_close(channel.receiver);
	return 0;
}

static int r12_closed_then_drained_then_end(void *arg)
{
	struct channel channel = channel_make(2, NULL);
	int items[] = { 1, 2 }, got;

	CHECK_RC(anyio_send(channel.sender, &items[0]), 0);
	CHECK_RC(anyio_send(channel.sender, &items[1]), 0);
	CHECK_RC(anyio_send_nowait(channel.sender, &items[0]), ANYIO_WOULD_BLOCK);
	anyio_sender_close(channel.sender);
	for (int i = 1; i <= 2; i++) {
		CHECK_RC(anyio_receive(channel.receiver, &got), 0);
		CHECK_RC(got, i);
	}
	CHECK_RC(anyio_receive(channel.receiver, &got), ANYIO_END_OF_STREAM);
	anyio_receiver_close(channel.receiver);
	return 0;
}

static int c45_last_receiver_closing_breaks_senders(void *arg)
{
	struct channel channel = channel_make(0, NULL);
	struct sending waiting[2];
	struct anyio_task_group group;
	int item = 1;

	anyio_task_group_enter(&group);
	for (int i = 0; i < 2; i++) {
		waiting[i] = (struct sending){ .sender = channel.sender };
		spawn(&group, send_one, &waiting[i], NULL);
	}
	anyio_wait_all_tasks_blocked();
	anyio_receiver_close(channel.receiver);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting[0].rc, ANYIO_BROKEN);
	CHECK_RC(waiting[1].rc, ANYIO_BROKEN);
	CHECK_RC(anyio_send(channel.sender, &item), ANYIO_BROKEN);
	anyio_sender_close(channel.sender);
	return 0;
}

static int c46_clones_count_separately(void *arg)
{
	struct channel channel = channel_make(1, NULL);
	struct anyio_sender *sender;
	struct anyio_receiver *receiver;
	struct anyio_channel_statistics stat;
	int item = 5, got;

	CHECK_RC(anyio_sender_clone(channel.sender, &sender), 0);
	CHECK_RC(anyio_receiver_clone(channel.receiver, &receiver), 0);
	stat = anyio_sender_statistics(sender);
	CHECK_RC(stat.senders, 2);
	CHECK_RC(stat.receivers, 2);
	anyio_sender_close(channel.sender);
	anyio_receiver_close(channel.receiver);
	CHECK_RC(anyio_send(sender, &item), 0);
	CHECK_RC(anyio_receive(receiver, &got), 0);
	CHECK_RC(got, 5);
	CHECK_RC(anyio_receive_nowait(receiver, &got), ANYIO_WOULD_BLOCK);
	anyio_sender_close(sender);
	CHECK_RC(anyio_receive_nowait(receiver, &got), ANYIO_END_OF_STREAM);
	anyio_receiver_close(receiver);
	return 0;
}

static int c47_waiting_receiver_owns_the_next_item(void *arg)
{
	struct channel channel = channel_make(4, NULL);
	struct receiving first = { .receiver = channel.receiver }, second = first;
	struct anyio_task_group group;
	int one = 1, two = 2, got;

	anyio_task_group_enter(&group);
	spawn(&group, receive_one, &first, NULL);
	anyio_wait_all_tasks_blocked();
	spawn(&group, receive_one, &second, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_send_nowait(channel.sender, &one), 0);
	/* Both receivers wait still, as nobody ran since; the item has its owner already. */
	CHECK_RC(anyio_receive_nowait(channel.receiver, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_send_nowait(channel.sender, &two), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(first.item, 1);
	CHECK_RC(second.item, 2);
	channel_close(&channel);
	return 0;
}

static int r12_closing_a_receiver_wakes_who_waits_on_it(void *arg)
{
	struct channel channel = channel_make(0, NULL);
	struct receiving mine, other;
	struct anyio_task_group group;
	int item = 3;

	other = (struct receiving){ .receiver = channel.receiver };
	mine = (struct receiving){ .rc = 0 };
	CHECK_RC(anyio_receiver_clone(channel.receiver, &mine.receiver), 0);
	anyio_task_group_enter(&group);
	spawn(&group, receive_one, &mine, NULL);
	spawn(&group, receive_one, &other, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_receiver_close(mine.receiver);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(mine.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_send(channel.sender, &item), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(other.item, 3);
	channel_close(&channel);
	return 0;
}

static int r12_closing_a_sender_wakes_who_sends_on_it(void *arg)
{
	struct channel channel = channel_make(0, NULL);
	struct sending self = { .sender = channel.sender };
	struct anyio_task_group group;
	int got;

	anyio_task_group_enter(&group);
	spawn(&group, send_one, &self, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_sender_close(channel.sender);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_receive(channel.receiver, &got), ANYIO_END_OF_STREAM);
	anyio_receiver_close(channel.receiver);
	return 0;
}

static int dropped;

static void count_drop(void *item)
{
	dropped = dropped * 10 + *(int *)item;
}

static int undelivered_items_are_dropped_once(void *arg)
{
	struct channel channel = channel_make(3, count_drop);
	int got;

	dropped = 0;
	for (int i = 1; i <= 3; i++)
		CHECK_RC(anyio_send(channel.sender, &i), 0);
	CHECK_RC(anyio_receive(channel.receiver, &got), 0);
	channel_close(&channel);
	CHECK_RC(dropped, 23);
	return 0;
}

static int nowait_forms_never_wait(void *arg)
{
	struct channel ring = channel_make(1, NULL), none = channel_make(0, NULL);
	struct sending sending = { .sender = none.sender, .item = 8 };
	struct receiving receiving = { .receiver = none.receiver };
	struct anyio_task_group group;
	int item = 7, got = 0;

	CHECK_RC(anyio_receive_nowait(ring.receiver, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_send_nowait(ring.sender, &item), 0);
	CHECK_RC(anyio_send_nowait(ring.sender, &item), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_receive_nowait(ring.receiver, &got), 0);
	CHECK_RC(got, 7);
	/* Without a ring it takes somebody who waits. */
	CHECK_RC(anyio_send_nowait(none.sender, &item), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_receive_nowait(none.receiver, &got), ANYIO_WOULD_BLOCK);
	anyio_task_group_enter(&group);
	spawn(&group, send_one, &sending, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_receive_nowait(none.receiver, &got), 0);
	CHECK_RC(got, 8);
	spawn(&group, receive_one, &receiving, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_send_nowait(none.sender, &item), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(sending.rc, 0);
	CHECK_RC(receiving.item, 7);
	anyio_receiver_close(ring.receiver);
	CHECK_RC(anyio_send_nowait(ring.sender, &item), ANYIO_BROKEN);
	anyio_sender_close(ring.sender);
	channel_close(&none);
	return 0;
}

/* A sender that waits fills the place that comes free, before anybody who comes later. */
static int waiting_sender_is_next_in_the_ring(void *arg)
{
	struct channel channel = channel_make(1, NULL);
	struct sending waiting = { .sender = channel.sender, .item = 2 };
	struct anyio_task_group group;
	int one = 1, three = 3, got;

	CHECK_RC(anyio_send_nowait(channel.sender, &one), 0);
	anyio_task_group_enter(&group);
	spawn(&group, send_one, &waiting, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_receive_nowait(channel.receiver, &got), 0);
	CHECK_RC(got, 1);
	CHECK_RC(anyio_send_nowait(channel.sender, &three), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_receive_nowait(channel.receiver, &got), 0);
	CHECK_RC(got, 2);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	channel_close(&channel);
	return 0;
}

static int statistics_tell_who_waits(void *arg)
{
	struct channel channel = channel_make(2, NULL);
	struct sending sending[2];
	struct receiving receiving[3];
	struct anyio_channel_statistics stat;
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	for (int i = 0; i < 3; i++) {
		receiving[i] = (struct receiving){ .receiver = channel.receiver };
		spawn(&group, receive_one, &receiving[i], &receiving[i].handle);
	}
	anyio_wait_all_tasks_blocked();
	stat = anyio_sender_statistics(channel.sender);
	CHECK(stat.used == 0 && stat.capacity == 2 && stat.senders == 1 && stat.receivers == 1);
	CHECK(stat.tasks_receiving == 3 && stat.tasks_sending == 0);
	for (int i = 0; i < 3; i++)
		anyio_task_handle_cancel(&receiving[i].handle, "test");
	anyio_wait_all_tasks_blocked();
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_send_nowait(channel.sender, &i), 0);
	for (int i = 0; i < 2; i++) {
		sending[i] = (struct sending){ .sender = channel.sender };
		spawn(&group, send_one, &sending[i], NULL);
	}
	anyio_wait_all_tasks_blocked();
	stat = anyio_receiver_statistics(channel.receiver);
	CHECK(stat.used == 2 && stat.tasks_receiving == 0 && stat.tasks_sending == 2);
	anyio_receiver_close(channel.receiver);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	stat = anyio_sender_statistics(channel.sender);
	CHECK(stat.used == 0 && stat.receivers == 0 && stat.tasks_sending == 0);
	anyio_sender_close(channel.sender);
	return 0;
}

/* What was never sent is the sender's still, and what was handed over is the receiver's. */
static int only_what_nobody_has_is_dropped(void *arg)
{
	struct channel channel = channel_make(1, count_drop);
	struct sending waiting = { .sender = channel.sender, .item = 2 };
	struct receiving receiving;
	struct anyio_receiver *clone;
	struct anyio_task_group group;
	int one = 1, three = 3;

	dropped = 0;
	CHECK_RC(anyio_receiver_clone(channel.receiver, &clone), 0);
	CHECK_RC(anyio_send_nowait(channel.sender, &one), 0);
	anyio_task_group_enter(&group);
	spawn(&group, send_one, &waiting, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_receiver_close(clone);
	CHECK_RC(dropped, 0);
	anyio_receiver_close(channel.receiver);
	CHECK_RC(dropped, 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting.rc, ANYIO_BROKEN);
	anyio_sender_close(channel.sender);
	CHECK_RC(dropped, 1);

	channel = channel_make(1, count_drop);
	receiving = (struct receiving){ .receiver = channel.receiver };
	dropped = 0;
	anyio_task_group_enter(&group);
	spawn(&group, receive_one, &receiving, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_send_nowait(channel.sender, &three), 0);
	channel_close(&channel);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(receiving.rc, 0);
	CHECK_RC(receiving.item, 3);
	CHECK_RC(dropped, 0);
	return 0;
}

/* Drained first, whoever the last sender was, and then the end for everybody. */
static int r12_drained_then_the_end_for_every_clone(void *arg)
{
	struct channel channel = channel_make(2, NULL);
	struct anyio_sender *sender;
	struct anyio_receiver *receiver;
	int item = 1, got;

	CHECK_RC(anyio_sender_clone(channel.sender, &sender), 0);
	CHECK_RC(anyio_receiver_clone(channel.receiver, &receiver), 0);
	CHECK_RC(anyio_send(sender, &item), 0);
	CHECK_RC(anyio_send(channel.sender, &item), 0);
	anyio_sender_close(sender);
	anyio_sender_close(channel.sender);
	CHECK_RC(anyio_receive(receiver, &got), 0);
	CHECK_RC(anyio_receive(channel.receiver, &got), 0);
	CHECK_RC(anyio_receive(channel.receiver, &got), ANYIO_END_OF_STREAM);
	CHECK_RC(anyio_receive_nowait(receiver, &got), ANYIO_END_OF_STREAM);
	anyio_receiver_close(receiver);
	anyio_receiver_close(channel.receiver);
	return 0;
}

/* A scope is cancelled from the start: nothing is sent and nothing eaten, though both could be at once. */
static int r12_pending_cancellation_moves_nothing(void *arg)
{
	struct channel channel = channel_make(2, NULL);
	struct anyio_cancel_scope scope;
	struct anyio_channel_statistics stat;
	int item = 1, got;

	CHECK_RC(anyio_send(channel.sender, &item), 0);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_send(channel.sender, &item), ANYIO_CANCELLED);
	CHECK_RC(anyio_receive(channel.receiver, &got), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	stat = anyio_sender_statistics(channel.sender);
	CHECK_RC(stat.used, 1);
	channel_close(&channel);
	return 0;
}

static int no_memory_for_channels_and_clones(void *arg)
{
	struct channel channel;
	struct anyio_sender *sender;
	struct anyio_receiver *receiver;
	struct anyio_channel_statistics stat;

	for (uint64_t at = 1; at <= 4; at++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, 0);
		CHECK_RC(anyio_channel_create(4, 2, NULL, &sender, &receiver), -ENOMEM);
		CHECK(sender == NULL && receiver == NULL);
	}
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	channel = channel_make(1, NULL);
	anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_sender_clone(channel.sender, &sender), -ENOMEM);
	CHECK_RC(anyio_receiver_clone(channel.receiver, &receiver), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	stat = anyio_sender_statistics(channel.sender);
	CHECK(stat.senders == 1 && stat.receivers == 1);
	channel_close(&channel);
	anyio_sender_close(NULL);
	anyio_receiver_close(NULL);
	return 0;
}

enum { ITEMS = 2000 };

static int send_many(void *arg)
{
	struct anyio_sender *sender = arg;
	int rc = 0;

	for (int i = 0; i < ITEMS && rc == 0; i++)
		rc = anyio_send(sender, &i);
	anyio_sender_close(sender);
	return rc;
}

static int receive_many(void *arg)
{
	struct anyio_receiver *receiver = arg;
	int item, next = 0, rc;

	while ((rc = anyio_receive(receiver, &item)) == 0)
		CHECK_RC(item, next++);
	CHECK_RC(next, ITEMS);
	anyio_receiver_close(receiver);
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int order_holds_at_every_capacity(void *arg)
{
	for (size_t capacity = 0; capacity < 5; capacity++) {
		struct channel channel = channel_make(capacity, NULL);
		struct anyio_task_group group;

		anyio_task_group_enter(&group);
		spawn(&group, receive_many, channel.receiver, NULL);
		spawn(&group, send_many, channel.sender, NULL);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	}
	return 0;
}

static int senders_dropped;

static void drop_sender(void *item)
{
	anyio_sender_close(*(struct anyio_sender **)item);
	senders_dropped++;
}

static int items_may_own_the_last_senders(void *arg)
{
	struct anyio_sender *sender, *clone;
	struct anyio_receiver *receiver;

	senders_dropped = 0;
	CHECK_RC(anyio_channel_create(sizeof(sender), 2, drop_sender, &sender, &receiver), 0);
	CHECK_RC(anyio_sender_clone(sender, &clone), 0);
	CHECK_RC(anyio_send(sender, &clone), 0);
	CHECK_RC(anyio_send(sender, &sender), 0);
	anyio_receiver_close(receiver);
	CHECK_RC(senders_dropped, 2);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c43_cancelled_receive_never_eats_an_item, CONFORM_MOCK),
		CONFORM(cancelled_send_sends_nothing, CONFORM_MOCK),
		CONFORM(c44_last_sender_closing_ends_the_stream, CONFORM_MOCK),
		CONFORM(r12_closed_then_drained_then_end, CONFORM_MOCK),
		CONFORM(c45_last_receiver_closing_breaks_senders, CONFORM_MOCK),
		CONFORM(c46_clones_count_separately, CONFORM_MOCK),
		CONFORM(c47_waiting_receiver_owns_the_next_item, CONFORM_MOCK),
		CONFORM(r12_closing_a_receiver_wakes_who_waits_on_it, CONFORM_MOCK),
		CONFORM(r12_closing_a_sender_wakes_who_sends_on_it, CONFORM_MOCK),
		CONFORM(undelivered_items_are_dropped_once, CONFORM_MOCK),
		CONFORM(nowait_forms_never_wait, CONFORM_MOCK),
		CONFORM(waiting_sender_is_next_in_the_ring, CONFORM_MOCK),
		CONFORM(statistics_tell_who_waits, CONFORM_MOCK),
		CONFORM(only_what_nobody_has_is_dropped, CONFORM_MOCK),
		CONFORM(r12_drained_then_the_end_for_every_clone, CONFORM_MOCK),
		CONFORM(r12_pending_cancellation_moves_nothing, CONFORM_MOCK),
		CONFORM(no_memory_for_channels_and_clones, CONFORM_MOCK),
		CONFORM(order_holds_at_every_capacity, CONFORM_MOCK),
		CONFORM(items_may_own_the_last_senders, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
