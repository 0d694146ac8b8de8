/*
 * Errors are values. The first real one of a group cancels the others and is what its exit returns; all
 * of them are listed, each with its task, code, words and place. Cancellations are none.
 */
#include <anyio/error.h>
#include <anyio/task.h>
#include <errno.h>
#include <stdio.h>

static int read_the_index(void *arg)
{
	return anyio_fail(-EIO, "the index is damaged"); /* notes the words and this place */
}

static int write_a_block(void *arg)
{
	int rc = anyio_sleep_forever();

	return rc == ANYIO_CANCELLED ? -ENOSPC : rc; /* it fails while it cleans up */
}

static int wait_for_clients(void *arg)
{
	return anyio_sleep_forever(); /* cancelled: nothing to list */
}

static int body(void *arg)
{
	const struct anyio_task_error *errors;

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, wait_for_clients, NULL, "waiter");
	anyio_start_soon(&group, write_a_block, NULL, "writer");
	anyio_start_soon(&group, read_the_index, NULL, "reader");
	int rc = anyio_task_group_exit(&group, 0);
	printf("the group: %s\n", anyio_error_name(rc));
	size_t count = anyio_task_group_errors(&group, &errors);
	for (size_t i = 0; i < count; i++)
		printf("%s: %s, %s (line %d)\n", errors[i].task, anyio_error_name(errors[i].code),
			errors[i].text, errors[i].failed_line);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	printf("the program: %s\n", rc ? anyio_error_text(rc) : "success");
	return rc != -EIO; /* as this one should */
}
/* Prints:
 * the group: EIO
 * reader: EIO, the index is damaged (line 12)
 * writer: ENOSPC, No space left on device (line 0)
 * the program: Input/output error
 */
