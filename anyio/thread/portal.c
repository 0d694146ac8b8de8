/*
 * Everything that is asked of a portal travels as a call through its loop's token. Calls of one thread come
 * in order, and each comes exactly once. Whether a call is accepted is decided under the portal's
 * mutex, by who calls; what was accepted runs, as the task that serves the portal waits for it.
 *
 * Calls that were accepted and have not begun are bounded: a thread that calls faster than the loop runs
 * tasks would fill the memory, and the run queue, so that every timer were late. At the bound callers
 * wait until half of them have begun, all alike, so that none is overtaken for ever; on the portal's own
 * loop, where nobody may wait, they are let through.
 *
 * A task's handle is two references, the caller's and the loop's, which goes when it is settled. The
 * portal's memory is held by its users (one reference for all of them), by the task that serves it,
 * and by every handle.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <anyio/portal.h>
#include "portal.h"

enum { PENDING_MOST = 1024 };

struct anyio_portal_task {
	atomic_uint references;
	struct anyio_portal *portal;
	anyio_task_fn fn;
	void *arg;
	char name[48];
	bool handshake;
	bool asked;                      /* somebody has the handle */
	struct anyio_cancel_scope scope; /* the loop's */
	struct anyio_call deliver, cancel;
	atomic_bool cancel_sent;
	/* The rest under the mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool done;
	int rc;
	bool answered; /* the handshake is over */
	int start_rc;
	void *value;
};

static void portal_release(struct anyio_portal *portal)
{
	if (atomic_fetch_sub(&portal->references, 1) != 1)
		return;
	pthread_cond_destroy(&portal->room);
	pthread_mutex_destroy(&portal->mutex);
	anyio_token_unref(portal->token);
	anyio_free(portal);
}

static bool portal_is_here(const struct anyio_portal *portal)
{
	struct anyio_token *here = anyio_current_token();

	anyio_token_unref(here);
	return here == portal->token;
}

/* Any thread: no more calls. */
static void portal_refuse(struct anyio_portal *portal)
{
	pthread_mutex_lock(&portal->mutex);
	portal->closed = true;
	pthread_cond_broadcast(&portal->room);
	pthread_mutex_unlock(&portal->mutex);
}

/* The loop's thread: so many of those that were accepted begin, or came to nothing. */
static void portal_begin(struct anyio_portal *portal, unsigned count)
{
	bool all;

	pthread_mutex_lock(&portal->mutex);
	portal->pending -= count;
	if (portal->full && portal->pending <= PENDING_MOST / 2) {
		portal->full = false;
		pthread_cond_broadcast(&portal->room);
	}
	all = portal->closed && portal->pending == 0;
	pthread_mutex_unlock(&portal->mutex);
	if (all)
		anyio_event_set(&portal->begun);
}

/* The loop's thread. */
static void portal_close(struct anyio_portal *portal)
{
	portal_refuse(portal);
	portal_begin(portal, 0);
	anyio_event_set(&portal->stop);
}

static int portal_await_begun(void *arg)
{
	return anyio_event_wait(&((struct anyio_portal *)arg)->begun);
}

static int portal_serve(void *arg)
{
	struct anyio_portal *portal = arg;
	struct anyio_cancel_scope scope;
	int rc;

	portal->served = true;
	anyio_task_group_enter(&portal->tasks);
	anyio_started(NULL);
	rc = anyio_event_wait(&portal->stop);
	portal_close(portal);
	/* What was accepted begins, in a cancelled group too. */
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_run(&scope, portal_await_begun, portal);
	rc = anyio_task_group_exit(&portal->tasks, rc);
	portal_release(portal);
	return rc;
}

int anyio_portal_open(struct anyio_task_group *group, struct anyio_portal **out)
{
	struct anyio_portal *portal = anyio_calloc(1, sizeof(*portal));
	int rc;

	*out = NULL;
	if (portal == NULL)
		return -ENOMEM;
	atomic_init(&portal->references, 2);
	atomic_init(&portal->users, 1);
	portal->token = anyio_current_token();
	pthread_mutex_init(&portal->mutex, NULL);
	pthread_cond_init(&portal->room, NULL);
	anyio_event_init(&portal->stop);
	anyio_event_init(&portal->begun);
	rc = anyio_start(group, portal_serve, portal, "portal", NULL);
	if (rc < 0) {
		if (!portal->served)
			portal_release(portal);
		portal_release(portal);
		return rc;
	}
	*out = portal;
	return 0;
}

static void portal_cancel(struct anyio_portal *portal)
{
	if (portal->served)
		anyio_task_group_cancel(&portal->tasks, "the portal was stopped");
	portal_close(portal);
}

static void stop_here(void *arg)
{
	portal_close(arg);
	portal_release(arg);
}

static void cancel_here(void *arg)
{
	portal_cancel(arg);
	portal_release(arg);
}

/* Of each kind one is sent: there is nothing that a second could add. */
static void portal_send_stop(struct anyio_portal *portal, atomic_bool *sent,
	struct anyio_call *call, void (*here)(void *))
{
	if (atomic_exchange(sent, true))
		return;
	*call = (struct anyio_call){ .fn = here, .arg = portal };
	atomic_fetch_add(&portal->references, 1);
	if (anyio_token_call(portal->token, call) < 0)
		portal_release(portal);
}

void anyio_portal_stop(struct anyio_portal *portal, bool cancel_remaining)
{
	portal_refuse(portal);
	if (portal_is_here(portal)) {
		if (cancel_remaining)
			portal_cancel(portal);
		else
			portal_close(portal);
	} else if (cancel_remaining) {
		portal_send_stop(portal, &portal->cancel_sent, &portal->cancel_call, cancel_here);
	} else {
		portal_send_stop(portal, &portal->stop_sent, &portal->stop_call, stop_here);
	}
}

struct anyio_portal *anyio_portal_ref(struct anyio_portal *portal)
{
	atomic_fetch_add(&portal->users, 1);
	return portal;
}

void anyio_portal_unref(struct anyio_portal *portal)
{
	if (portal == NULL || atomic_fetch_sub(&portal->users, 1) != 1)
		return;
	anyio_portal_stop(portal, false);
	if (portal->own_thread && portal_is_here(portal))
		pthread_detach(portal->thread);
	else if (portal->own_thread)
		pthread_join(portal->thread, NULL);
	portal_release(portal);
}

static struct anyio_portal_task *job_create(
	struct anyio_portal *portal, anyio_task_fn fn, void *arg, const char *name)
{
	struct anyio_portal_task *job = anyio_calloc(1, sizeof(*job));
	pthread_condattr_t attr;

	if (job == NULL)
		return NULL;
	atomic_init(&job->references, 2);
	atomic_fetch_add(&portal->references, 1);
	job->portal = portal;
	job->fn = fn;
	job->arg = arg;
	strncpy(job->name, name == NULL ? "portal task" : name, sizeof(job->name) - 1);
	anyio_cancel_scope_init(&job->scope);
	pthread_mutex_init(&job->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&job->changed, &attr);
	pthread_condattr_destroy(&attr);
	return job;
}

static void job_release(struct anyio_portal_task *job)
{
	if (atomic_fetch_sub(&job->references, 1) != 1)
		return;
	pthread_cond_destroy(&job->changed);
	pthread_mutex_destroy(&job->mutex);
	portal_release(job->portal);
	anyio_free(job);
}

/* Its end, which comes once; the loop does not touch it any more. */
static void job_settle(struct anyio_portal_task *job, int rc)
{
	pthread_mutex_lock(&job->mutex);
	job->done = true;
	job->rc = rc;
	pthread_cond_broadcast(&job->changed);
	pthread_mutex_unlock(&job->mutex);
	job_release(job);
}

static void job_answer(struct anyio_portal_task *job, int rc, void *value)
{
	pthread_mutex_lock(&job->mutex);
	job->answered = true;
	job->start_rc = rc;
	job->value = value;
	pthread_cond_broadcast(&job->changed);
	pthread_mutex_unlock(&job->mutex);
}

static int job_call(void *arg)
{
	struct anyio_portal_task *job = arg;

	return job->fn(job->arg);
}

static int job_main(void *arg)
{
	struct anyio_portal_task *job = arg;
	bool from_outside;
	int rc;

	if (!job->handshake)
		portal_begin(job->portal, 1);
	rc = anyio_cancel_scope_run(&job->scope, job_call, job);
	from_outside = rc == ANYIO_CANCELLED && anyio_cancel_pending();

	if (from_outside || anyio_cancel_scope_cancelled_caught(&job->scope))
		rc = ANYIO_TASK_CANCELLED;
	job_settle(job, rc);
	return from_outside ? ANYIO_CANCELLED : 0;
}

/* Runs beside a task that has the handshake, until that is over. */
static int job_start(void *arg)
{
	struct anyio_portal_task *job = arg;
	void *value = NULL;
	int rc;

	portal_begin(job->portal, 1);
	atomic_fetch_add(&job->references, 1);
	rc = anyio_start(&job->portal->tasks, job_main, job, job->name, &value);
	if (rc < 0 && !job->done)
		job_settle(job, rc);
	else if (rc < 0 && job->rc < 0)
		rc = job->rc;
	job_answer(job, rc, value);
	job_release(job);
	return 0;
}

/* What keeps it from running is told to who has the handle, else it is an error of the portal's task. */
static void job_deliver(void *arg)
{
	struct anyio_portal_task *job = arg;
	struct anyio_portal *portal = job->portal;
	struct anyio_task_options options = { .name = job->name, .may_fail = job->asked };
	int rc = anyio_start_soon_with(
		&portal->tasks, job->handshake ? job_start : job_main, job, &options);

	if (rc == 0)
		return;
	portal_begin(portal, 1);
	job_answer(job, rc, NULL);
	job_settle(job, rc);
}

/* Waits for room, but on the portal's own loop. */
static int portal_send(struct anyio_portal *portal, struct anyio_call *call)
{
	bool here = portal_is_here(portal);
	int rc;

	pthread_mutex_lock(&portal->mutex);
	while (portal->full && !portal->closed && !here)
		pthread_cond_wait(&portal->room, &portal->mutex);
	rc = portal->closed ? ANYIO_STOPPED : anyio_token_call(portal->token, call);
	if (rc == 0 && ++portal->pending >= PENDING_MOST)
		portal->full = true;
	pthread_mutex_unlock(&portal->mutex);
	return rc == 0 ? 0 : ANYIO_STOPPED;
}

/* ANYIO_STOPPED: it was not sent, and is freed. */
static int job_send(struct anyio_portal_task *job, bool asked)
{
	int rc;

	job->asked = asked;
	job->deliver = (struct anyio_call){ .fn = job_deliver, .arg = job };
	rc = portal_send(job->portal, &job->deliver);
	if (rc < 0) {
		job_release(job);
		job_release(job);
	}
	return rc;
}

int anyio_portal_start_soon(struct anyio_portal *portal, anyio_task_fn fn, void *arg,
	const char *name, struct anyio_portal_task **task)
{
	struct anyio_portal_task *job = job_create(portal, fn, arg, name);
	int rc = job == NULL ? -ENOMEM : job_send(job, task != NULL);

	if (task != NULL)
		*task = rc < 0 ? NULL : job;
	else if (rc == 0)
		job_release(job);
	return rc;
}

int anyio_portal_call(struct anyio_portal *portal, anyio_task_fn fn, void *arg)
{
	struct anyio_portal_task *job;
	int rc;

	if (portal_is_here(portal))
		return -EDEADLK;
	rc = anyio_portal_start_soon(portal, fn, arg, "portal call", &job);
	if (rc < 0)
		return rc;
	rc = anyio_portal_task_wait(job, ANYIO_FOREVER);
	job_release(job);
	return rc;
}

int anyio_portal_start_task(struct anyio_portal *portal, anyio_task_fn fn, void *arg,
	const char *name, struct anyio_portal_task **task, void **value)
{
	struct anyio_portal_task *job;
	int rc;

	if (task != NULL)
		*task = NULL;
	if (portal_is_here(portal))
		return -EDEADLK;
	job = job_create(portal, fn, arg, name);
	if (job == NULL)
		return -ENOMEM;
	job->handshake = true;
	rc = job_send(job, true);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&job->mutex);
	while (!job->answered)
		pthread_cond_wait(&job->changed, &job->mutex);
	rc = job->start_rc;
	if (rc == 0 && value != NULL)
		*value = job->value;
	pthread_mutex_unlock(&job->mutex);
	if (rc == 0 && task != NULL)
		*task = job;
	else
		job_release(job);
	return rc;
}

int anyio_portal_task_wait(struct anyio_portal_task *job, anyio_time timeout)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	if (timeout > INT32_MAX * ANYIO_SECOND)
		timeout = INT32_MAX * ANYIO_SECOND;
	if (timeout < 0)
		timeout = 0;
	until.tv_sec += timeout / ANYIO_SECOND;
	until.tv_nsec += timeout % ANYIO_SECOND;
	if (until.tv_nsec >= ANYIO_SECOND) {
		until.tv_nsec -= ANYIO_SECOND;
		until.tv_sec++;
	}
	pthread_mutex_lock(&job->mutex);
	if (!job->done && portal_is_here(job->portal))
		rc = EDEADLK;
	while (!job->done && rc == 0)
		rc = pthread_cond_timedwait(&job->changed, &job->mutex, &until);
	rc = job->done ? job->rc : -rc;
	pthread_mutex_unlock(&job->mutex);
	return rc;
}

bool anyio_portal_task_done(struct anyio_portal_task *job)
{
	bool done;

	pthread_mutex_lock(&job->mutex);
	done = job->done;
	pthread_mutex_unlock(&job->mutex);
	return done;
}

static void job_cancel_here(void *arg)
{
	struct anyio_portal_task *job = arg;

	anyio_cancel_scope_cancel(&job->scope, "cancelled from another thread");
	job_release(job);
}

void anyio_portal_task_cancel(struct anyio_portal_task *job)
{
	if (atomic_exchange(&job->cancel_sent, true))
		return;
	job->cancel = (struct anyio_call){ .fn = job_cancel_here, .arg = job };
	atomic_fetch_add(&job->references, 1);
	if (anyio_token_call(job->portal->token, &job->cancel) < 0)
		job_release(job);
}

void anyio_portal_task_free(struct anyio_portal_task *job)
{
	if (job != NULL)
		job_release(job);
}
