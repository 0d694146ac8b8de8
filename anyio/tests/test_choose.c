/* Choosing between several channels and events. */
#include "conformance.h"
#include <errno.h>

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

static struct channel channel_make(size_t capacity)
{
	struct channel channel;

	CHECK_RC(anyio_channel_create(
			 sizeof(int), capacity, NULL, &channel.sender, &channel.receiver),
		0);
	return channel;
}

static void channel_close(struct channel *channel)
{
	anyio_sender_close(channel->sender);
	anyio_receiver_close(channel->receiver);
}

static size_t waiting(const struct channel *channel)
{
	struct anyio_channel_statistics stat;

	stat = anyio_sender_statistics(channel->sender);
	return stat.tasks_receiving + stat.tasks_sending;
}

enum { BRANCHES = 3 };

/* A task that chooses once. */
struct chooser {
	struct anyio_choice choices[BRANCHES];
	size_t count;
	struct anyio_task_handle handle;
	int items[BRANCHES];
	int chosen;
};

static int choose_once(void *arg)
{
	struct chooser *self = arg;

	self->chosen = anyio_choose(self->choices, self->count);
	return self->chosen == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void chooser_add(struct chooser *self, struct anyio_receiver *receive,
	struct anyio_sender *send, struct anyio_event *event)
{
	self->choices[self->count] = (struct anyio_choice){
		.receive = receive,
		.send = send,
		.event = event,
		.item = &self->items[self->count],
		.rc = 1,
	};
	self->count++;
}

static int takes_the_branch_that_is_ready(void *arg)
{
	struct channel a = channel_make(1), b = channel_make(1);
	struct chooser self = { .count = 0 };
	int item = 7;

	chooser_add(&self, a.receiver, NULL, NULL);
	chooser_add(&self, b.receiver, NULL, NULL);
	CHECK_RC(anyio_choose_nowait(self.choices, 2), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_send_nowait(b.sender, &item), 0);
	CHECK_RC(anyio_choose(self.choices, 2), 1);
	CHECK_RC(self.choices[1].rc, 0);
	CHECK_RC(self.items[1], 7);
	CHECK_RC(self.choices[0].rc, 1);
	CHECK_RC(anyio_choose_nowait(self.choices, 2), ANYIO_WOULD_BLOCK);
	/* Sending is ready as long as there is room. */
	chooser_add(&self, NULL, a.sender, NULL);
	self.items[2] = 9;
	CHECK_RC(anyio_choose_nowait(self.choices, 3), 2);
	CHECK_RC(anyio_choose_nowait(self.choices, 3), 0);
	CHECK_RC(self.items[0], 9);
	channel_close(&a);
	channel_close(&b);
	return 0;
}

/* As c43: the cancellation comes before the send, or between the handoff and the chooser's turn. */
static int cancelled_choose_eats_nothing(void *arg)
{
	for (int late = 0; late < 2; late++) {
		struct channel a = channel_make(1), b = channel_make(1);
		struct chooser self = { .count = 0 };
		struct anyio_task_group group;
		int item = 7, got = 0;

		chooser_add(&self, a.receiver, NULL, NULL);
		chooser_add(&self, b.receiver, NULL, NULL);
		anyio_task_group_enter(&group);
		spawn(&group, choose_once, &self, &self.handle);
		anyio_wait_all_tasks_blocked();
		CHECK_RC((int64_t)waiting(&a), 1);
		if (!late)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_send_nowait(b.sender, &item), 0);
		if (late)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC((int64_t)waiting(&a), 0);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		if (anyio_receive_nowait(b.receiver, &got) < 0)
			got = self.chosen == 1 ? self.items[1] : 0;
		else
			CHECK_RC(self.chosen, ANYIO_CANCELLED);
		CHECK_RC(got, 7);
		channel_close(&a);
		channel_close(&b);
	}
	return 0;
}

static int cancelled_choose_sends_nothing(void *arg)
{
	struct channel a = channel_make(0), b = channel_make(0);
	struct chooser self = { .count = 0 };
	struct anyio_task_group group;
	int got;

	chooser_add(&self, NULL, a.sender, NULL);
	chooser_add(&self, b.receiver, NULL, NULL);
	anyio_task_group_enter(&group);
	spawn(&group, choose_once, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_receive_nowait(a.receiver, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_send_nowait(b.sender, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.chosen, ANYIO_CANCELLED);
	/* Nor one that was cancelled before, and it does not take what is ready. */
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	struct anyio_event event;
	anyio_event_init(&event);
	anyio_event_set(&event);
	chooser_add(&self, NULL, NULL, &event);
	anyio_cancel_scope_enter(&scope);
	CHECK_RC(anyio_choose(self.choices, 3), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	channel_close(&a);
	channel_close(&b);
	return 0;
}

/* As c47, and what comes on another branch meanwhile is not its own. */
static int waiting_chooser_owns_the_next_item_and_no_second(void *arg)
{
	struct channel a = channel_make(1), b = channel_make(1);
	struct chooser self = { .count = 0 };
	struct anyio_task_group group;
	int one = 1, two = 2, got = 0;

	chooser_add(&self, a.receiver, NULL, NULL);
	chooser_add(&self, b.receiver, NULL, NULL);
	anyio_task_group_enter(&group);
	spawn(&group, choose_once, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_send_nowait(a.sender, &one), 0);
	CHECK_RC(anyio_receive_nowait(a.receiver, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_send_nowait(b.sender, &two), 0);
	CHECK_RC(anyio_receive_nowait(b.receiver, &got), 0);
	CHECK_RC(got, 2);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.chosen, 0);
	CHECK_RC(self.items[0], 1);
	channel_close(&a);
	channel_close(&b);
	return 0;
}

static int waiting_chooser_sends_once(void *arg)
{
	struct channel a = channel_make(0), b = channel_make(0);
	struct chooser self = { .items = { 1, 2 } };
	struct anyio_task_group group;
	int got = 0;

	chooser_add(&self, NULL, a.sender, NULL);
	chooser_add(&self, NULL, b.sender, NULL);
	anyio_task_group_enter(&group);
	spawn(&group, choose_once, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_receive_nowait(b.receiver, &got), 0);
	CHECK_RC(got, 2);
	CHECK_RC(anyio_receive_nowait(a.receiver, &got), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.chosen, 1);
	channel_close(&a);
	channel_close(&b);
	return 0;
}

/* How each way of closing is told: the branch is taken, and its rc says why. */
static int closing_an_end_wakes_the_choice(void *arg)
{
	static const int told[] = { ANYIO_CLOSED, ANYIO_END_OF_STREAM, ANYIO_CLOSED, ANYIO_BROKEN };

	for (int i = 0; i < 4; i++) {
		struct channel a = channel_make(0), b = channel_make(0);
		struct chooser self = { .count = 0 };
		struct anyio_task_group group;

		chooser_add(&self, a.receiver, NULL, NULL);
		if (i < 2)
			chooser_add(&self, b.receiver, NULL, NULL);
		else
			chooser_add(&self, NULL, b.sender, NULL);
		anyio_task_group_enter(&group);
		spawn(&group, choose_once, &self, NULL);
		anyio_wait_all_tasks_blocked();
		if (i == 0 || i == 3)
			anyio_receiver_close(b.receiver);
		else
			anyio_sender_close(b.sender);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(self.chosen, 1);
		CHECK_RC(self.choices[1].rc, told[i]);
		/* What is closed already is ready at once, on the side that is left. */
		if (i == 1 || i == 3) {
			CHECK_RC(anyio_choose_nowait(self.choices, 2), 1);
			CHECK_RC(self.choices[1].rc, told[i]);
		}
		channel_close(&a);
		if (i == 0 || i == 3)
			anyio_sender_close(b.sender);
		else
			anyio_receiver_close(b.receiver);
	}
	return 0;
}

/* One task in one queue several times, with others between: each is woken once. */
static int closing_finds_everyone_in_the_queue(void *arg)
{
	struct channel a = channel_make(0);
	struct chooser choosers[3];
	struct anyio_task_group group;
	struct anyio_receiver *clone;
	int item = 5;

	CHECK_RC(anyio_receiver_clone(a.receiver, &clone), 0);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 3; i++) {
		choosers[i] = (struct chooser){ .count = 0 };
		chooser_add(&choosers[i], clone, NULL, NULL);
		chooser_add(&choosers[i], i == 1 ? a.receiver : clone, NULL, NULL);
		chooser_add(&choosers[i], clone, NULL, NULL);
		spawn(&group, choose_once, &choosers[i], NULL);
	}
	anyio_wait_all_tasks_blocked();
	CHECK_RC((int64_t)waiting(&a), 9);
	anyio_receiver_close(clone);
	CHECK_RC((int64_t)waiting(&a), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < 3; i++)
		CHECK_RC(choosers[i].choices[choosers[i].chosen].rc, ANYIO_CLOSED);
	CHECK_RC(anyio_send_nowait(a.sender, &item), ANYIO_WOULD_BLOCK);
	channel_close(&a);
	return 0;
}

static int two_choices_meet_and_none_meets_itself(void *arg)
{
	struct channel a = channel_make(0);
	struct chooser choosers[2];
	struct anyio_task_group group;
	int receives, sends;

	anyio_task_group_enter(&group);
	for (int i = 0; i < 2; i++) {
		choosers[i] = (struct chooser){ .items = { 0, i + 1 } };
		chooser_add(&choosers[i], a.receiver, NULL, NULL);
		chooser_add(&choosers[i], NULL, a.sender, NULL);
		spawn(&group, choose_once, &choosers[i], NULL);
		anyio_wait_all_tasks_blocked();
		CHECK_RC((int64_t)waiting(&a), i == 0 ? 2 : 0);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	receives = choosers[0].chosen == 0 ? 0 : 1;
	sends = 1 - receives;
	CHECK_RC(choosers[sends].chosen, 1);
	CHECK_RC(choosers[receives].chosen, 0);
	CHECK_RC(choosers[receives].items[0], sends + 1);
	channel_close(&a);
	return 0;
}

static int events_and_deadlines_end_a_choice(void *arg)
{
	struct channel a = channel_make(0);
	struct chooser self = { .count = 0 };
	struct anyio_event event;
	struct anyio_task_group group;

	anyio_event_init(&event);
	chooser_add(&self, a.receiver, NULL, NULL);
	chooser_add(&self, NULL, NULL, &event);
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, choose_once, &self), -ETIMEDOUT);
	CHECK_RC((int64_t)waiting(&a), 0);
	CHECK_RC((int64_t)anyio_event_statistics(&event).waiting, 0);
	anyio_task_group_enter(&group);
	spawn(&group, choose_once, &self, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_event_set(&event);
	CHECK_RC((int64_t)waiting(&a), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.chosen, 1);
	CHECK_RC(self.choices[1].rc, 0);
	CHECK_RC(anyio_choose(self.choices, 2), 1);
	channel_close(&a);
	return 0;
}

static int a_branch_without_anything_is_never_taken(void *arg)
{
	struct chooser self = { .count = 0 };

	chooser_add(&self, NULL, NULL, NULL);
	CHECK_RC(anyio_choose_nowait(self.choices, 1), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, choose_once, &self), -ETIMEDOUT);
	self.count = 0;
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, choose_once, &self), -ETIMEDOUT);
	return 0;
}

/* Of 3,000 choices among three that are always ready: 800 is seven deviations below the mean. */
static int ready_branches_are_taken_alike(void *arg)
{
	struct channel channels[BRANCHES];
	struct chooser self = { .count = 0 };
	int taken[BRANCHES] = { 0 };

	for (int i = 0; i < BRANCHES; i++) {
		channels[i] = channel_make(1);
		chooser_add(&self, channels[i].receiver, NULL, NULL);
		CHECK_RC(anyio_send_nowait(channels[i].sender, &i), 0);
	}
	for (int i = 0; i < 3000; i++) {
		int chosen = anyio_choose(self.choices, BRANCHES);

		CHECK_RC(self.items[chosen], chosen);
		taken[chosen]++;
		CHECK_RC(anyio_send_nowait(channels[chosen].sender, &chosen), 0);
	}
	for (int i = 0; i < BRANCHES; i++) {
		CHECK(taken[i] > 800);
		channel_close(&channels[i]);
	}
	return 0;
}

/* Many tasks that send and receive by choice on channels of every capacity while others cancel
 * them: every item that was sent is received exactly once, or still in a ring. */
enum { CHANNELS = 4, WORKERS = 12, TURNS = 60, MOST_ITEMS = WORKERS * TURNS };

struct market {
	struct channel channels[CHANNELS];
	uint8_t sent[MOST_ITEMS], received[MOST_ITEMS];
	int next, cancelled, taken;
	uint32_t random;
};

struct worker {
	struct market *market;
	struct anyio_cancel_scope *scope; /* NULL between two choices */
};

static uint32_t market_random(struct market *market, uint32_t below)
{
	market->random = market->random * 1664525 + 1013904223;
	return (market->random >> 8) % below;
}

static int trade(struct worker *self)
{
	struct market *market = self->market;
	struct anyio_choice choices[3];
	struct anyio_cancel_scope scope;
	int items[3], rc;

	for (int i = 0; i < 3; i++) {
		struct channel *channel = &market->channels[market_random(market, CHANNELS)];
		bool sends = market_random(market, 2) != 0;

		items[i] = sends ? market->next++ % MOST_ITEMS : -1;
		choices[i] = (struct anyio_choice){
			.receive = sends ? NULL : channel->receiver,
			.send = sends ? channel->sender : NULL,
			.item = &items[i],
		};
	}
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	self->scope = &scope;
	rc = anyio_choose(choices, 3);
	self->scope = NULL;
	if (rc >= 0) {
		CHECK_RC(choices[rc].rc, 0);
		market->taken++;
		if (choices[rc].send != NULL)
			market->sent[items[rc]]++;
		else
			market->received[items[rc]]++;
	} else {
		CHECK_RC(rc, ANYIO_CANCELLED);
		market->cancelled++;
	}
	for (int i = 0; i < 3; i++)
		if (i != rc && choices[i].receive != NULL)
			CHECK_RC(items[i], -1);
	return anyio_cancel_scope_exit(&scope, rc == ANYIO_CANCELLED ? rc : 0);
}

static int work(void *arg)
{
	for (int i = 0; i < TURNS / 3; i++) {
		CHECK_RC(trade(arg), 0);
		CHECK_RC(anyio_checkpoint(), 0);
	}
	return 0;
}

/* Ends those who would wait for ever too. */
static int cancel_some(void *arg)
{
	struct worker *workers = arg;

	while (anyio_task_count() > 2) {
		struct worker *worker = &workers[market_random(workers->market, WORKERS)];

		if (worker->scope != NULL)
			anyio_cancel_scope_cancel(worker->scope, "test");
		CHECK_RC(anyio_checkpoint(), 0);
	}
	return 0;
}

static void trade_one_day(uint32_t random, int *cancelled, int *taken)
{
	static struct market market;
	struct worker workers[WORKERS];
	struct anyio_task_group group;

	market = (struct market){ .random = random };
	for (size_t i = 0; i < CHANNELS; i++)
		market.channels[i] = channel_make(i / 2);
	anyio_task_group_enter(&group);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .market = &market };
		spawn(&group, work, &workers[i], NULL);
	}
	spawn(&group, cancel_some, workers, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(market.next <= MOST_ITEMS);
	*cancelled += market.cancelled;
	*taken += market.taken;
	for (size_t i = 0; i < CHANNELS; i++) {
		int item;

		CHECK_RC((int64_t)waiting(&market.channels[i]), 0);
		while (anyio_receive_nowait(market.channels[i].receiver, &item) == 0)
			market.received[item]++;
		channel_close(&market.channels[i]);
	}
	for (int i = 0; i < MOST_ITEMS; i++) {
		CHECK(market.sent[i] <= 1);
		CHECK_RC(market.received[i], market.sent[i]);
	}
}

static int every_item_goes_exactly_once(void *arg)
{
	int cancelled = 0, taken = 0;

	for (uint32_t day = 1; day <= 10; day++)
		trade_one_day(day, &cancelled, &taken);
	CHECK(cancelled > 10 && taken > 1000);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(takes_the_branch_that_is_ready, CONFORM_MOCK),
		CONFORM(cancelled_choose_eats_nothing, CONFORM_MOCK),
		CONFORM(cancelled_choose_sends_nothing, CONFORM_MOCK),
		CONFORM(waiting_chooser_owns_the_next_item_and_no_second, CONFORM_MOCK),
		CONFORM(waiting_chooser_sends_once, CONFORM_MOCK),
		CONFORM(closing_an_end_wakes_the_choice, CONFORM_MOCK),
		CONFORM(closing_finds_everyone_in_the_queue, CONFORM_MOCK),
		CONFORM(two_choices_meet_and_none_meets_itself, CONFORM_MOCK),
		CONFORM(events_and_deadlines_end_a_choice, CONFORM_MOCK),
		CONFORM(a_branch_without_anything_is_never_taken, CONFORM_MOCK),
		CONFORM(ready_branches_are_taken_alike, CONFORM_MOCK),
		CONFORM(every_item_goes_exactly_once, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
