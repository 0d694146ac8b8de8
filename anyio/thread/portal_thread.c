/* A loop in a thread of its own, with a portal into it. */
#include <errno.h>
#include <pthread.h>
#include <anyio/portal.h>
#include "portal.h"

/* On the stack of who starts the thread, until it is answered. */
struct launch {
	struct anyio_options options;
	struct anyio_portal *portal;
	int rc;
	bool answered;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
};

static void launch_answer(struct launch *launch, int rc)
{
	pthread_mutex_lock(&launch->mutex);
	launch->rc = rc;
	launch->answered = true;
	pthread_cond_signal(&launch->changed);
	pthread_mutex_unlock(&launch->mutex);
}

static int thread_body(void *arg)
{
	struct launch **launch = arg;
	struct anyio_task_group group;
	int rc;

	anyio_task_group_enter(&group);
	rc = anyio_portal_open(&group, &(*launch)->portal);
	launch_answer(*launch, rc);
	*launch = NULL;
	return anyio_task_group_exit(&group, rc);
}

static void *thread_main(void *arg)
{
	struct launch *launch = arg;
	struct anyio_options options = launch->options;
	int rc = anyio_run(thread_body, &launch, &options);

	if (launch != NULL)
		launch_answer(launch, rc);
	return NULL;
}

int anyio_portal_start(const struct anyio_options *options, struct anyio_portal **portal)
{
	struct launch launch = { .portal = NULL };
	pthread_t thread;
	int rc;

	if (options != NULL)
		launch.options = *options;
	launch.options.no_signals = true;
	pthread_mutex_init(&launch.mutex, NULL);
	pthread_cond_init(&launch.changed, NULL);
	rc = anyio_thread_start(&thread, NULL, thread_main, &launch);
	pthread_mutex_lock(&launch.mutex);
	while (rc == 0 && !launch.answered)
		pthread_cond_wait(&launch.changed, &launch.mutex);
	pthread_mutex_unlock(&launch.mutex);
	if (rc == 0 && launch.rc < 0) {
		rc = launch.rc;
		pthread_join(thread, NULL);
	}
	pthread_cond_destroy(&launch.changed);
	pthread_mutex_destroy(&launch.mutex);
	*portal = launch.portal;
	if (rc == 0) {
		(*portal)->thread = thread;
		(*portal)->own_thread = true;
	}
	return rc;
}
