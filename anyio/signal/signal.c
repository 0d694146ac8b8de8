/*
 * Signals as bytes in a pipe. The handler writes its number; the receiver waits for the pipe and
 * reads one. A pipe keeps the order, and works whichever thread the kernel picks.
 *
 * The handler may run on any thread while a receiver is being closed on another: closing takes the
 * pipe out of the table, then waits until no handler is inside, and only then closes it. A handler that
 * had begun and was not inside yet finds no pipe, and sends the signal on to who has it by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <anyio/signal.h>
#include "../sync/use.h"

struct anyio_signal_receiver {
	int pipe[2];
	bool closed;
	bool caught[NSIG];
	struct sigaction before[NSIG];
	struct anyio_use receiving;
};

/* The pipe each signal is written to, plus 1; 0: nobody's. */
static _Atomic int writers[NSIG];
static _Atomic int handlers_inside;

static void signal_handle(int number);

/* The action from before is back since before the pipe went; but somebody else may have put ours back,
 * with whom this would go round for ever. All signals are blocked here: it comes after the return. */
static void signal_send_on(int number)
{
	struct sigaction now;

	if (sigaction(number, NULL, &now) == 0 && now.sa_handler != signal_handle)
		raise(number);
}

static void signal_handle(int number)
{
	int saved = errno, writer;
	uint8_t byte = (uint8_t)number;

	atomic_fetch_add(&handlers_inside, 1);
	writer = atomic_load(&writers[number]);
	/* A full pipe holds thousands unread: one more of the kind says nothing new. */
	if (writer != 0 && write(writer - 1, &byte, 1) < 0)
		byte = 0;
	atomic_fetch_sub(&handlers_inside, 1);
	if (writer == 0)
		signal_send_on(number);
	errno = saved;
}

static int signal_catch(struct anyio_signal_receiver *receiver, int number)
{
	/* A task's own stack may be too full for the kernel's frame. */
	struct sigaction action = { .sa_handler = signal_handle,
		.sa_flags = SA_RESTART | SA_ONSTACK };
	int nobody = 0;

	if (number <= 0 || number >= NSIG)
		return -EINVAL;
	if (!atomic_compare_exchange_strong(&writers[number], &nobody, receiver->pipe[1] + 1))
		return -EBUSY;
	sigfillset(&action.sa_mask);
	if (sigaction(number, &action, &receiver->before[number]) < 0) {
		atomic_store(&writers[number], 0);
		return -errno;
	}
	receiver->caught[number] = true;
	return 0;
}

static void signals_restore(struct anyio_signal_receiver *receiver)
{
	for (int number = 1; number < NSIG; number++) {
		if (!receiver->caught[number])
			continue;
		sigaction(number, &receiver->before[number], NULL);
		atomic_store(&writers[number], 0);
		receiver->caught[number] = false;
	}
	while (atomic_load(&handlers_inside) > 0)
		sched_yield();
}

static void receiver_settle(struct anyio_signal_receiver *receiver)
{
	if (!receiver->closed || receiver->receiving.task != NULL)
		return;
	close(receiver->pipe[0]);
	close(receiver->pipe[1]);
	anyio_free(receiver);
}

int anyio_signal_open(const int *signals, struct anyio_signal_receiver **receiver)
{
	struct anyio_signal_receiver *self = anyio_calloc(1, sizeof(*self));
	int rc = 0;

	*receiver = NULL;
	if (self == NULL)
		return -ENOMEM;
	if (pipe2(self->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		rc = -errno;
		anyio_free(self);
		return rc;
	}
	for (; *signals != 0 && rc == 0; signals++)
		rc = signal_catch(self, *signals);
	if (rc < 0) {
		anyio_signal_close(self);
		return rc;
	}
	*receiver = self;
	return 0;
}

static int64_t signal_wait(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_POLL, .fd = fd, .flags = POLLIN };

	/* No signal ever reaches a simulated world. */
	if (strcmp(anyio_backend_name(), "sim") == 0)
		return anyio_sleep_forever();
	for (;;) {
		int64_t rc = anyio_op_run(&op);
		uint8_t byte;

		if (rc < 0)
			return rc;
		if (read(fd, &byte, 1) == 1)
			return byte;
	}
}

int anyio_signal_receive(struct anyio_signal_receiver *receiver)
{
	int64_t rc = anyio_use_begin(&receiver->receiving);

	if (rc < 0)
		return (int)rc;
	rc = signal_wait(receiver->pipe[0]);
	anyio_use_end(&receiver->receiving);
	if (rc == ANYIO_CANCELLED && receiver->closed)
		rc = ANYIO_CLOSED;
	receiver_settle(receiver);
	return (int)rc;
}

void anyio_signal_close(struct anyio_signal_receiver *receiver)
{
	uint8_t byte;

	if (receiver == NULL || receiver->closed)
		return;
	receiver->closed = true;
	signals_restore(receiver);
	while (read(receiver->pipe[0], &byte, 1) == 1)
		raise(byte);
	anyio_use_interrupt(&receiver->receiving);
	receiver_settle(receiver);
}
