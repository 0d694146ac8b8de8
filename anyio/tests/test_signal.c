/* Signals as a stream. */
#include "conformance.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t seen_usr1, seen_usr2;

static void note(int number)
{
	if (number == SIGUSR1)
		seen_usr1++;
	else
		seen_usr2++;
}

static void notes_begin(void)
{
	seen_usr1 = seen_usr2 = 0;
	signal(SIGUSR1, note);
	signal(SIGUSR2, note);
}

static const int both[] = { SIGUSR1, SIGUSR2, 0 };

static int signals_come_in_order(void *arg)
{
	struct anyio_signal_receiver *receiver;

	notes_begin();
	CHECK_RC(anyio_signal_open(both, &receiver), 0);
	raise(SIGUSR2);
	raise(SIGUSR1);
	CHECK_RC(anyio_signal_receive(receiver), SIGUSR2);
	CHECK_RC(anyio_signal_receive(receiver), SIGUSR1);
	CHECK_RC(seen_usr1 + seen_usr2, 0);
	anyio_signal_close(receiver);
	CHECK_RC(seen_usr1 + seen_usr2, 0);
	raise(SIGUSR1);
	CHECK_RC(seen_usr1, 1);
	return 0;
}

static int c65_unread_signals_are_raised_again_at_close(void *arg)
{
	struct anyio_signal_receiver *receiver;

	notes_begin();
	CHECK_RC(anyio_signal_open(both, &receiver), 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	CHECK_RC(seen_usr1 + seen_usr2, 0);
	anyio_signal_close(receiver);
	CHECK_RC(seen_usr1, 1);
	CHECK_RC(seen_usr2, 1);
	return 0;
}

static int c65b_what_was_read_is_not_raised_again(void *arg)
{
	struct anyio_signal_receiver *receiver;

	notes_begin();
	CHECK_RC(anyio_signal_open(both, &receiver), 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	CHECK_RC(anyio_signal_receive(receiver), SIGUSR1);
	CHECK_RC(seen_usr2, 0);
	anyio_signal_close(receiver);
	CHECK_RC(seen_usr1, 0);
	CHECK_RC(seen_usr2, 1);
	return 0;
}

struct receiving {
	struct anyio_signal_receiver *receiver;
	struct anyio_task_handle handle;
	int rc;
};

static int receive_one(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_signal_receive(self->receiver);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void spawn(struct anyio_task_group *group, struct receiving *self)
{
	struct anyio_task_options options = { .name = "child", .handle = &self->handle };

	CHECK_RC(anyio_start_soon_with(group, receive_one, self, &options), 0);
	anyio_wait_all_tasks_blocked();
}

static int a_waiting_receiver_is_woken_closed_or_cancelled(void *arg)
{
	struct receiving self = { .rc = 0 };
	struct anyio_task_group group;

	notes_begin();
	CHECK_RC(anyio_signal_open(both, &self.receiver), 0);
	anyio_task_group_enter(&group);
	spawn(&group, &self);
	CHECK_RC(anyio_signal_receive(self.receiver), ANYIO_BUSY);
	raise(SIGUSR1);
	CHECK_RC(anyio_task_handle_wait(&self.handle), 0);
	CHECK_RC(self.rc, SIGUSR1);
	spawn(&group, &self);
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_task_handle_wait(&self.handle), ANYIO_TASK_CANCELLED);
	spawn(&group, &self);
	anyio_signal_close(self.receiver);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	return 0;
}

/* A handler that had begun, and looked for its receiver only after that was closed. */
static int a_signal_that_came_just_before_the_close_is_not_lost(void *arg)
{
	struct anyio_signal_receiver *receiver;
	struct sigaction ours;

	notes_begin();
	CHECK_RC(anyio_signal_open(both, &receiver), 0);
	CHECK_RC(sigaction(SIGUSR1, NULL, &ours), 0);
	anyio_signal_close(receiver);
	ours.sa_handler(SIGUSR1);
	CHECK_RC(seen_usr1, 1);
	/* Installed by somebody who found it there, it has nobody to send it to. */
	CHECK_RC(sigaction(SIGUSR1, &ours, NULL), 0);
	raise(SIGUSR1);
	CHECK_RC(seen_usr1, 1);
	signal(SIGUSR1, note);
	return 0;
}

static int one_receiver_a_signal(void *arg)
{
	static const int second[] = { SIGHUP, SIGUSR2, 0 }, wrong[] = { SIGHUP, SIGKILL, 0 },
			 nonsense[] = { 1000, 0 };
	struct anyio_signal_receiver *receiver, *other;

	notes_begin();
	CHECK_RC(anyio_signal_open(both, &receiver), 0);
	CHECK_RC(anyio_signal_open(second, &other), -EBUSY);
	CHECK(other == NULL);
	CHECK_RC(anyio_signal_open(wrong, &other), -EINVAL);
	CHECK_RC(anyio_signal_open(nonsense, &other), -EINVAL);
	anyio_signal_close(receiver);
	CHECK_RC(anyio_signal_open(second, &other), 0);
	anyio_signal_close(other);
	anyio_signal_close(NULL);
	return 0;
}

static __attribute__((noinline)) int raise_deep_down(void)
{
	volatile char room[8400];

	memset((void *)room, 1, sizeof(room));
	raise(SIGUSR1);
	return room[0];
}

static int use_up_the_stack(void *arg)
{
	CHECK_RC(raise_deep_down(), 1);
	return 0;
}

/* The kernel's frame, of 3 KiB where registers are wide, has no room on what is left of 16 KiB. */
static int a_signal_comes_when_the_stack_is_nearly_full(void *arg)
{
	struct anyio_task_options options = { .name = "deep", .stack_size = 16384 };
	struct anyio_signal_receiver *receiver;
	struct anyio_task_group group;
	struct sigaction now;

	CHECK_RC(anyio_signal_open(both, &receiver), 0);
	CHECK_RC(sigaction(SIGUSR1, NULL, &now), 0);
	CHECK(now.sa_flags & SA_ONSTACK);
	anyio_task_group_enter(&group);
	CHECK_RC(anyio_start_soon_with(&group, use_up_the_stack, NULL, &options), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_signal_receive(receiver), SIGUSR1);
	anyio_signal_close(receiver);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(a_signal_that_came_just_before_the_close_is_not_lost, 0),
		CONFORM(signals_come_in_order, CONFORM_NO_SIM),
		CONFORM(c65_unread_signals_are_raised_again_at_close, 0),
		CONFORM(c65b_what_was_read_is_not_raised_again, CONFORM_NO_SIM),
		CONFORM(a_waiting_receiver_is_woken_closed_or_cancelled, CONFORM_NO_SIM),
		CONFORM(one_receiver_a_signal, 0),
		CONFORM(a_signal_comes_when_the_stack_is_nearly_full, CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
