/*
 * Services: each is started when those before it serve, and stopped, with time to finish, before those that
 * it may need. Here the program stops by itself; Ctrl-C and SIGTERM would do the same.
 */
#include <anyio/service.h>
#include <signal.h>
#include <stdio.h>

static int run(struct anyio_service *service, void *name)
{
	printf("%s serves\n", (char *)name);
	int rc = anyio_started(NULL);
	if (rc == 0)
		rc = anyio_service_wait_stop(service); /* its work */
	if (rc == 0)
		rc = anyio_sleep(
			ANYIO_MILLISECOND); /* finishes what it has begun: it has its grace */
	printf("%s has finished\n", (char *)name);
	return rc;
}

static int body(void *arg)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	struct anyio_service_options options = { .grace = 5 * ANYIO_SECOND };
	struct anyio_service store, web;
	struct anyio_service_group group;

	anyio_service_group_enter(&group, &options);
	int rc = anyio_service_group_stop_on(&group, signals);
	if (rc == 0)
		rc = anyio_service_start(&group, &store, run, "store", "store");
	if (rc == 0)
		rc = anyio_service_start(&group, &web, run, "web", "web");
	if (rc == 0) {
		anyio_service_group_stop(&group);
		rc = anyio_service_group_wait(&group);
	}
	rc = anyio_service_group_exit(&group, rc);
	if (rc == 0)
		printf("store %s\n",
			anyio_service_state(&store) == ANYIO_SERVICE_FINISHED ? "ended well"
									      : "was cut short");
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "service: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * store serves
 * web serves
 * web has finished
 * store has finished
 * store ended well
 */
