/*
 * Faults in a test: every allocation that the code makes fails once, one after another; and one system call
 * fails as a full disk would have it.
 */
#include <anyio/channel.h>
#include <anyio/file.h>
#include <anyio/testing.h>
#include <errno.h>
#include <stdio.h>

/* What is tested: all or nothing, and no leak. */
static int make_two(void)
{
	struct anyio_receiver *receiver;
	struct anyio_sender *sender, *clone;
	int rc = anyio_channel_create(1, 1, NULL, &sender, &receiver);

	if (rc < 0)
		return rc;
	if ((rc = anyio_sender_clone(sender, &clone)) == 0)
		anyio_sender_close(clone);
	anyio_sender_close(sender);
	anyio_receiver_close(receiver);
	return rc;
}

static int save(const char *path, void *arg)
{
	char place[120];

	snprintf(place, sizeof place, "%s/file", path);
	return anyio_write_whole(AT_FDCWD, place, 0600, "text", 4);
}

static int body(void *arg)
{
	unsigned failed = 0;
	int rc;

	do {
		anyio_fault_set(ANYIO_FAULT_MEMORY, failed + 1, 0); /* this one */
		rc = make_two();
	} while (rc == -ENOMEM && ++failed < 1000);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	printf("%s of its allocations failed, and then: %s\n", failed ? "each" : "none",
		rc ? anyio_error_name(rc) : "success");
	if (rc < 0 || (rc = anyio_fault_set_call("pwritev", 1, ENOSPC)) < 0)
		return rc;
	rc = anyio_temporary_directory_run(NULL, save, NULL);
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
	printf("the save: %s\n", anyio_error_text(rc));
	return rc == -ENOSPC ? 0 : -EPROTO;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "testing_fault: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * each of its allocations failed, and then: success
 * the save: No space left on device
 */
