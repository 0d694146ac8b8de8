/* Waiting on descriptors that are not ours. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct ready {
	int fd, rc;
	struct anyio_task_handle handle;
};

static int fill_and_wait_writable(void *arg)
{
	struct ready *self = arg;
	char bytes[4096] = { 0 };

	while (write(self->fd, bytes, sizeof(bytes)) > 0)
		;
	self->rc = anyio_wait_writable(self->fd);
	return 0;
}

static int wait_ready(void *arg)
{
	struct ready *self = arg;

	self->rc = anyio_wait_readable(self->fd);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int waiting_on_descriptors(void *arg)
{
	struct ready self;
	struct anyio_task_group group;
	int fds[2];

	CHECK_RC(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	self = (struct ready){ .fd = fds[0] };
	CHECK_RC(anyio_wait_writable(fds[1]), 0);
	anyio_task_group_enter(&group);
	spawn(&group, wait_ready, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_wait_readable(fds[0]), ANYIO_BUSY);
	anyio_notify_closing(fds[0]);
	CHECK_RC(anyio_task_handle_wait(&self.handle), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	spawn(&group, wait_ready, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(write(fds[1], "x", 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, 0);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static int closing_tells_readers_and_writers(void *arg)
{
	struct ready readers[2], writer;
	struct anyio_task_group group;
	int fds[2], other[2];

	CHECK_RC(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	CHECK_RC(pipe2(other, O_CLOEXEC | O_NONBLOCK), 0);
	readers[0] = (struct ready){ .fd = fds[0] };
	readers[1] = (struct ready){ .fd = other[0], .rc = 1 };
	writer = (struct ready){ .fd = fds[1] };
	anyio_task_group_enter(&group);
	spawn(&group, wait_ready, &readers[0], NULL);
	spawn(&group, wait_ready, &readers[1], NULL);
	anyio_wait_all_tasks_blocked();
	anyio_notify_closing(fds[1]); /* nobody yet */
	anyio_notify_closing(fds[0]);
	spawn(&group, fill_and_wait_writable, &writer, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(readers[0].rc, ANYIO_CLOSED);
	CHECK_RC(readers[1].rc, 1); /* of another descriptor */
	anyio_notify_closing(fds[1]);
	CHECK_RC(write(other[1], "x", 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(writer.rc, ANYIO_CLOSED);
	CHECK_RC(readers[1].rc, 0);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(other[i]);
	}
	return 0;
}

static int wait_again(void *arg)
{
	return anyio_wait_readable(*(int *)arg);
}

/* Each is found among many: the second of a descriptor, and that which closes. */
static int many_wait_for_descriptors(void *arg)
{
	enum { WAITS = 100 };
	static struct ready waiting[WAITS];
	int ends[2];
	ANYIO_TASK_GROUP(group);

	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < WAITS; i++) {
		/* Far apart, so that several are in one chain. */
		waiting[i] = (struct ready){ .fd = fcntl(ends[0], F_DUPFD_CLOEXEC, 8 * i) };
		CHECK(waiting[i].fd >= 0);
		spawn(&group, wait_ready, &waiting[i], &waiting[i].handle);
	}
	anyio_wait_all_tasks_blocked();
	for (int i = 0; i < WAITS; i++) {
		CHECK_RC(anyio_wait_readable(waiting[i].fd), ANYIO_BUSY);
		if (i % 3 == 0)
			anyio_notify_closing(waiting[i].fd);
		if (i % 3 == 1)
			anyio_task_handle_cancel(&waiting[i].handle, "test");
	}
	for (int i = 0; i < WAITS; i++)
		while (i % 3 != 2 && waiting[i].rc == 0)
			anyio_cancel_shielded_checkpoint();
	for (int i = 2; i < WAITS; i += 3)
		CHECK_RC(anyio_fail_after(ANYIO_SECOND, wait_again, &waiting[i].fd), ANYIO_BUSY);
	CHECK_RC(write(ends[1], "x", 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < WAITS; i++) {
		static const int wanted[] = { ANYIO_CLOSED, ANYIO_CANCELLED, 0 };

		CHECK_RC(waiting[i].rc, wanted[i % 3]);
		close(waiting[i].fd);
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(waiting_on_descriptors, CONFORM_NO_SIM),
		CONFORM(closing_tells_readers_and_writers, CONFORM_NO_SIM),
		CONFORM(many_wait_for_descriptors, CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
