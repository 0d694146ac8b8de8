/*
 * Without waiting: a memory object stream that is full says so; and what was sent but will never be received
 * is given to drop, which frees it.
 */
#include <anyio/channel.h>
#include <anyio/memory.h>
#include <errno.h>
#include <stdio.h>

static void drop(void *item)
{
	char *text = *(char **)item;

	printf("nobody took: %s\n", text);
	anyio_free(text);
}

static int send_copy(struct anyio_sender *sender, const char *text)
{
	char *copy = anyio_strdup(text);
	int rc = copy ? anyio_send_nowait(sender, &copy) : -ENOMEM;

	if (rc < 0)
		anyio_free(copy); /* it was not sent */
	printf("%s: %s\n", text, rc ? anyio_error_name(rc) : "sent");
	return rc;
}

static int body(void *arg)
{
	struct anyio_receiver *receiver;
	struct anyio_sender *sender;
	int rc = anyio_channel_create(sizeof(char *), 1, drop, &sender, &receiver);

	if (rc < 0)
		return rc;
	send_copy(sender, "one");
	send_copy(sender, "two");
	struct anyio_channel_statistics now = anyio_sender_statistics(sender);
	printf("%zu of %zu places are taken\n", now.used, now.capacity);
	anyio_receiver_close(receiver); /* the last one */
	send_copy(sender, "three");
	anyio_sender_close(sender);
	return 0;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "channel_drop: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * one: sent
 * two: ANYIO_WOULD_BLOCK
 * 1 of 1 places are taken
 * nobody took: one
 * three: ANYIO_BROKEN
 */
