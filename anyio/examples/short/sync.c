/*
 * A table with two places: who brings a dish waits for a place, who eats waits for a dish, each on a
 * condition of the one lock.
 */
#include <anyio/sync.h>
#include <stdio.h>

static struct anyio_lock lock;
static struct anyio_condition changed;
static int dishes, eaten;

/* Waits until the number of dishes can change so, and changes it. */
static int change(int by)
{
	int rc = anyio_lock_acquire(&lock);

	if (rc < 0)
		return rc;
	while (rc == 0 && (dishes + by < 0 || dishes + by > 2))
		rc = anyio_condition_wait(&changed); /* without the lock meanwhile */
	if (rc == 0) {
		dishes += by;
		rc = anyio_condition_notify_all(&changed);
	}
	int released = anyio_lock_release(&lock);
	return rc ? rc : released;
}

static int eat(void *arg)
{
	int rc = 0;

	for (int i = 0; i < 5 && rc == 0; i++)
		if ((rc = change(-1)) == 0)
			eaten++;
	return rc;
}

static int body(void *arg)
{
	int rc = 0;

	anyio_lock_init(&lock);
	anyio_condition_init(&changed, &lock);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, eat, NULL, "guest");
	anyio_start_soon(&group, eat, NULL, "guest");
	for (int i = 0; i < 10 && rc == 0; i++)
		rc = change(1);
	rc = anyio_task_group_exit(&group, rc);
	printf("%d eaten, %d left, the lock is %s\n", eaten, dishes,
		anyio_lock_statistics(&lock).locked ? "held" : "free");
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "sync: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 10 eaten, 0 left, the lock is free
 */
