/* Timers of all lengths, set, moved and cancelled at random: each ends at its time, in order. And the
 * deadlines of single scopes. */
#include "conformance.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { TIMERS = 300, STEPS = 200, MOVES = 8 };

struct entry {
	struct anyio_cancel_scope scope;
	anyio_time deadline; /* as last set */
	anyio_time ended;    /* 0: not yet */
	struct schedule *schedule;
};

struct schedule {
	struct entry entries[TIMERS];
	uint64_t random;
	anyio_time last; /* when the last one ended */
	int ended;
};

static uint64_t draw(struct schedule *schedule)
{
	schedule->random = schedule->random * 6364136223846793005u + 1442695040888963407u;
	return schedule->random >> 16;
}

/* From now on, of any order of magnitude up to a day, and now and then one that others have too. */
static anyio_time any_time(struct schedule *schedule)
{
	if (draw(schedule) % 8 == 0)
		return schedule->entries[draw(schedule) % TIMERS].deadline;
	return anyio_now() +
		(anyio_time)(draw(schedule) >> (1 + draw(schedule) % 40)) % (1LL << 46);
}

static int wait_for_the_end(void *arg)
{
	struct entry *entry = arg;
	anyio_cancel_scope_enter(&entry->scope);
	int rc = anyio_cancel_scope_exit(&entry->scope, anyio_sleep_forever());
	CHECK(anyio_cancel_scope_timed_out(&entry->scope));
	entry->ended = anyio_now();
	CHECK_RC(entry->ended, entry->deadline);
	CHECK(entry->ended >= entry->schedule->last);
	entry->schedule->last = entry->ended;
	entry->schedule->ended++;
	return rc;
}

/* Takes it away or sets it to another time, of which none is over. */
static void move(struct schedule *schedule, struct entry *entry)
{
	anyio_time when = any_time(schedule);
	if (entry->ended || when <= anyio_now())
		return;
	if (draw(schedule) % 4 == 0)
		anyio_cancel_scope_set_deadline(&entry->scope, ANYIO_FOREVER);
	entry->deadline = when;
	anyio_cancel_scope_set_deadline(&entry->scope, when);
}

static int all_end_in_time(void *arg)
{
	struct schedule *schedule = calloc(1, sizeof(*schedule));
	if (!schedule)
		return ANYIO_BROKEN;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < TIMERS; i++) {
		struct entry *entry = &schedule->entries[i];
		entry->schedule = schedule;
		entry->deadline = anyio_now() + 1 + (anyio_time)(draw(schedule) % (1LL << 46));
		anyio_cancel_scope_init(&entry->scope);
		anyio_cancel_scope_set_deadline(&entry->scope, entry->deadline);
		anyio_start_soon(&group, wait_for_the_end, entry, "timer");
	}
	for (int step = 0; step < STEPS; step++) {
		anyio_sleep_until(any_time(schedule));
		for (int i = 0; i < MOVES; i++)
			move(schedule, &schedule->entries[draw(schedule) % TIMERS]);
	}
	int rc = anyio_task_group_exit(&group, 0);
	CHECK_RC(schedule->ended, TIMERS);
	free(schedule);
	return rc;
}

static int note(void *arg)
{
	struct entry *entry = arg;
	CHECK_RC(anyio_sleep_until(entry->deadline), 0);
	CHECK_RC(entry->schedule->ended++, entry - entry->schedule->entries);
	return 0;
}

/* Equal times end in the order they were set, near or far. */
static int equals_keep_their_order(void *arg)
{
	static const anyio_time lengths[] = { 1, ANYIO_MILLISECOND, ANYIO_SECOND,
		3600 * ANYIO_SECOND };
	struct schedule *schedule = calloc(1, sizeof(*schedule));
	if (!schedule)
		return ANYIO_BROKEN;
	int rc = 0;
	for (size_t length = 0; length < sizeof(lengths) / sizeof(*lengths); length++) {
		anyio_time when = anyio_now() + lengths[length];
		schedule->ended = 0;
		ANYIO_TASK_GROUP(group);
		for (int i = 0; i < TIMERS; i++) {
			schedule->entries[i].schedule = schedule;
			schedule->entries[i].deadline = when;
			anyio_start_soon(&group, note, &schedule->entries[i], "equal");
		}
		rc = anyio_task_group_exit(&group, rc);
	}
	free(schedule);
	return rc;
}

static anyio_time real_time(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * ANYIO_SECOND + ts.tv_nsec;
}

/* Computes for that long; returns when it was done. */
static anyio_time compute(anyio_time duration)
{
	anyio_time until = real_time() + duration, now;
	do
		now = real_time();
	while (now < until);
	return now;
}

/* How long the loop waits once a task has computed, with another's deadline ahead. */
struct late {
	struct anyio_instrument instrument;
	struct anyio_cancel_scope scope;
	anyio_time deadline, computed;
	int waits;
};

static void on_poll(void *arg, anyio_time timeout)
{
	struct late *late = arg;
	if (!late->computed || timeout == 0)
		return;
	CHECK(timeout <= late->deadline - late->computed);
	late->waits++;
	anyio_cancel_scope_cancel(&late->scope, "seen");
}

static int sleep_long(void *arg)
{
	struct late *late = arg;
	anyio_cancel_scope_enter(&late->scope);
	/* Less than the second after which the loop sees to its stacks. */
	late->deadline = anyio_now() + 900 * ANYIO_MILLISECOND;
	return anyio_cancel_scope_exit(&late->scope, anyio_sleep_until(late->deadline));
}

static int compute_then_end(void *arg)
{
	struct late *late = arg;
	late->computed = compute(20 * ANYIO_MILLISECOND);
	return 0;
}

/* What a task computed is not added to the time another sleeps. */
static int a_wait_is_cut_by_what_was_computed(void *arg)
{
	struct late late = { .instrument = { .before_poll = on_poll } };
	late.instrument.arg = &late;
	anyio_cancel_scope_init(&late.scope);
	CHECK_RC(anyio_instrument_add(&late.instrument), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_long, &late, "sleeper");
	anyio_start_soon(&group, compute_then_end, &late, "computer");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_instrument_remove(&late.instrument), 0);
	CHECK(late.waits > 0 || late.computed >= late.deadline);
	return 0;
}

/* Rule 5. */
static int r05_a_timeout_counts_from_enter(void *arg)
{
	struct anyio_cancel_scope fresh, entered;
	anyio_cancel_scope_init(&fresh);
	anyio_cancel_scope_init(&entered);
	anyio_cancel_scope_set_timeout(&fresh, 3600 * ANYIO_SECOND);
	anyio_time computed = compute(5 * ANYIO_MILLISECOND);
	anyio_cancel_scope_enter(&fresh);
	CHECK(anyio_cancel_scope_deadline(&fresh) >= computed + 3600 * ANYIO_SECOND);
	anyio_cancel_scope_enter(&entered);
	computed = compute(5 * ANYIO_MILLISECOND);
	anyio_cancel_scope_set_timeout(&entered, 3600 * ANYIO_SECOND);
	CHECK(anyio_cancel_scope_deadline(&entered) >= computed + 3600 * ANYIO_SECOND);
	computed = compute(5 * ANYIO_MILLISECOND);
	CHECK_RC(anyio_sleep(2 * ANYIO_MILLISECOND), 0);
	CHECK(anyio_now() >= computed + 2 * ANYIO_MILLISECOND);
	CHECK_RC(anyio_cancel_scope_exit(&entered, 0), 0);
	return anyio_cancel_scope_exit(&fresh, 0);
}

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

static int c19_a_zero_deadline_fires_at_the_first_checkpoint(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, 0);
	anyio_cancel_scope_enter(&scope);
	int rc = anyio_checkpoint();
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, rc), 0);
	CHECK(anyio_cancel_scope_timed_out(&scope));
	CHECK_RC(anyio_move_on_after(0, sleep_forever, NULL), 0);
	CHECK_RC(anyio_fail_after(0, sleep_forever, NULL), -ETIMEDOUT);
	CHECK_RC(anyio_fail_after(-ANYIO_SECOND, sleep_forever, NULL), -ETIMEDOUT);
	return 0;
}

static int c20b_a_deadline_is_taken_away(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, ANYIO_SECOND);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_set_timeout(&scope, ANYIO_FOREVER);
	CHECK_RC(anyio_sleep(2 * ANYIO_SECOND), 0);
	anyio_cancel_scope_set_deadline(&scope, anyio_now() - 1);
	CHECK_RC(anyio_sleep_forever(), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	return 0;
}

/* Real time passes while nobody polls. */
static int c25_a_checkpoint_notices_an_expired_deadline(void *arg)
{
	struct anyio_cancel_scope scope;
	struct timespec now;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, 2 * ANYIO_MILLISECOND);
	anyio_cancel_scope_enter(&scope);
	anyio_time deadline = anyio_cancel_scope_deadline(&scope);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec * ANYIO_SECOND + now.tv_nsec < deadline);
	int rc = anyio_checkpoint();
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, rc), 0);
	CHECK(anyio_cancel_scope_timed_out(&scope));
	return 0;
}

static int c32_an_inner_timeout_moves_on_though_shielded(void *arg)
{
	struct anyio_cancel_scope outer, inner;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_cancel(&outer, NULL);
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_set_shield(&inner, true);
	anyio_cancel_scope_set_timeout(&inner, ANYIO_SECOND);
	CHECK_RC(anyio_cancel_scope_run(&inner, sleep_forever, NULL), 0);
	CHECK(anyio_cancel_scope_timed_out(&inner));
	CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&outer, ANYIO_CANCELLED), 0);
	return 0;
}

static int r05_timeouts_count_from_enter(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, ANYIO_SECOND);
	CHECK_RC(anyio_sleep(5 * ANYIO_SECOND), 0);
	anyio_time began = anyio_now();
	CHECK_RC(anyio_cancel_scope_run(&scope, sleep_forever, NULL), 0);
	CHECK(anyio_now() >= began + ANYIO_SECOND);
	return 0;
}

struct order {
	int seen[8];
	int count;
};
struct sleeper {
	struct order *order;
	int milliseconds;
};

static int sleep_and_note(void *arg)
{
	struct sleeper *sleeper = arg;
	int rc = anyio_sleep(sleeper->milliseconds * ANYIO_MILLISECOND);
	sleeper->order->seen[sleeper->order->count++] = sleeper->milliseconds;
	return rc;
}

static int s_sleepers_wake_in_order(void *arg)
{
	static const int times[] = { 50, 10, 40, 20, 70, 30, 60, 80 };
	struct order order = { .count = 0 };
	struct sleeper sleepers[8];
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 8; i++) {
		sleepers[i] = (struct sleeper){ &order, times[i] };
		anyio_start_soon(&group, sleep_and_note, &sleepers[i], "sleeper");
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < 8; i++)
		CHECK_RC(order.seen[i], (i + 1) * 10);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(all_end_in_time, CONFORM_MOCK),
		CONFORM(equals_keep_their_order, CONFORM_MOCK | CONFORM_ORDERED),
		CONFORM(a_wait_is_cut_by_what_was_computed, CONFORM_NO_SIM),
		CONFORM(r05_a_timeout_counts_from_enter, CONFORM_NO_SIM),
		CONFORM(c19_a_zero_deadline_fires_at_the_first_checkpoint, CONFORM_MOCK),
		CONFORM(c20b_a_deadline_is_taken_away, CONFORM_MOCK),
		CONFORM(c25_a_checkpoint_notices_an_expired_deadline, CONFORM_NO_SIM),
		CONFORM(c32_an_inner_timeout_moves_on_though_shielded, CONFORM_MOCK),
		CONFORM(r05_timeouts_count_from_enter, CONFORM_MOCK),
		CONFORM(s_sleepers_wake_in_order, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
