/*
 * The first of several: a desk takes what comes, letters on a memory stream, until it is told to close.
 */
#include <anyio/choose.h>
#include <stdio.h>

struct desk {
	struct anyio_receiver *letters;
	struct anyio_event closing;
};

static int answer(void *arg)
{
	struct desk *desk = arg;
	int letter, which;
	struct anyio_choice choices[] = {
		{ .receive = desk->letters, .item = &letter },
		{ .event = &desk->closing },
	};

	while ((which = anyio_choose(choices, 2)) == 0)
		if (choices[0].rc == 0)
			printf("letter %d\n", letter);
		else
			choices[0].receive = NULL; /* no more will come: this branch is off */
	printf("%s\n", which == 1 ? "closing" : "cancelled");
	return which < 0 ? which : 0;
}

static int body(void *arg)
{
	struct anyio_sender *letters;
	struct desk desk;
	int rc = anyio_channel_create(sizeof(int), 0, NULL, &letters, &desk.letters);

	if (rc < 0)
		return rc;
	anyio_event_init(&desk.closing);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, answer, &desk, "desk");
	for (int i = 1; i <= 3 && rc == 0; i++)
		rc = anyio_send(letters, &i); /* without room: waits until it is taken */
	anyio_event_set(&desk.closing);
	rc = anyio_task_group_exit(&group, rc);
	anyio_sender_close(letters);
	anyio_receiver_close(desk.letters);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "choose: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * letter 1
 * letter 2
 * letter 3
 * closing
 */
