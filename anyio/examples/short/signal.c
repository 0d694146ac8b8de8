/*
 * Signals as a stream: while it is open they do nothing else, and a task takes them one by one.
 */
#include <anyio/signal.h>
#include <stdio.h>
#include <unistd.h>

static int body(void *arg)
{
	static const int signals[] = { SIGHUP, SIGTERM, 0 };
	struct anyio_signal_receiver *receiver;
	int number, rc = anyio_signal_open(signals, &receiver);

	if (rc < 0)
		return rc;
	kill(getpid(), SIGHUP); /* as an administrator would */
	while ((number = anyio_signal_receive(receiver)) == SIGHUP) {
		printf("SIGHUP: reads its settings again\n");
		kill(getpid(), SIGTERM);
	}
	if (number == SIGTERM)
		printf("SIGTERM: ends\n");
	anyio_signal_close(receiver);
	return number < 0 ? number : 0;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "signal: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * SIGHUP: reads its settings again
 * SIGTERM: ends
 */
