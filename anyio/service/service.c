/*
 * The scopes, from the outside in: the group's tasks; in them the group's own block (body), and each
 * service. A service that ends where it should not cancels the body, so that the block comes to the
 * exit; it does not cancel the other services, whose turns come in the exit. From the moment it
 * serves a service is shielded from the outside: it is cancelled by the exit alone, which sees a
 * cancellation from outside as a grace of no time. Before that moment it is not, so that its start can
 * be cancelled; it is the last one then, whose turn would be the first anyhow.
 *
 * The tasks of services never fail in the eyes of the task group: how they ended is kept here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <anyio/service.h>
#include <anyio/signal.h>
#include <anyio/sync.h>
#include "../core/core.h"

#define USUAL_TIME (10 * ANYIO_SECOND)

struct service {
	struct service_group *group; /* NULL until it serves */
	struct service *before;      /* started before this one */
	struct anyio_cancel_scope scope;
	struct anyio_list untils;
	struct anyio_event over;
	anyio_service_fn fn;
	void *arg;
	struct anyio_task_error error; /* code 0: none; its name from the first */
	int rc;
	bool asked;
	enum anyio_service_state end;
};
_Static_assert(sizeof(struct service) <= sizeof(struct anyio_service), "a service fits");

struct service_group {
	struct anyio_task_group tasks;
	struct anyio_cancel_scope body;
	const struct anyio_task *task;    /* whose block it is */
	struct anyio_cancel_scope *grace; /* while the exit gives somebody time */
	struct anyio_event stop;
	struct anyio_signal_receiver *signals;
	struct anyio_service_options options;
	struct service *last;
	const struct service *failed; /* the first that did */
	bool hurried;
};
_Static_assert(sizeof(struct service_group) <= sizeof(struct anyio_service_group), "a group fits");

/* A stretch of a service that ends when it is asked to stop; on the stack of its task. */
struct until {
	struct anyio_list node;
	struct anyio_cancel_scope scope;
};

static struct service_group *of(struct anyio_service_group *group)
{
	return (struct service_group *)group;
}

static void report_to_stderr(void *arg, const char *service)
{
	dprintf(STDERR_FILENO, "the service \"%s\" was cancelled and does not end\n", service);
}

void anyio_service_group_enter_at(struct anyio_service_group *group,
	const struct anyio_service_options *options, const char *file, int line)
{
	struct service_group *self = of(group);

	self->task = anyio_current_task();
	self->grace = NULL;
	self->signals = NULL;
	self->options = options == NULL ? (struct anyio_service_options){ 0 } : *options;
	if (self->options.grace == 0)
		self->options.grace = USUAL_TIME;
	if (self->options.patience == 0)
		self->options.patience = USUAL_TIME;
	if (self->options.report == NULL)
		self->options.report = report_to_stderr;
	self->last = NULL;
	self->failed = NULL;
	self->hurried = false;
	anyio_event_init(&self->stop);
	anyio_task_group_enter_at(&self->tasks, file, line);
	anyio_cancel_scope_init(&self->body);
	anyio_cancel_scope_enter_at(&self->body, file, line);
}

/* A service that served has ended. */
static void service_settle(struct service *self)
{
	struct service_group *group = self->group;

	if (self->end != ANYIO_SERVICE_FAILED)
		return;
	if (group->failed == NULL)
		group->failed = self;
	anyio_cancel_scope_cancel(&group->body, "a service ended");
}

static int service_call(void *arg)
{
	struct service *self = arg;

	return self->fn((struct anyio_service *)self, self->arg);
}

static int service_main(void *arg)
{
	struct service *self = arg;
	int rc = anyio_cancel_scope_run(&self->scope, service_call, self);

	self->rc = rc;
	if (rc == ANYIO_CANCELLED || anyio_cancel_scope_cancelled_caught(&self->scope))
		self->end = ANYIO_SERVICE_CUT_SHORT;
	else if (rc < 0 || !self->asked)
		self->end = ANYIO_SERVICE_FAILED;
	else
		self->end = ANYIO_SERVICE_FINISHED;
	if (self->end == ANYIO_SERVICE_FAILED)
		anyio_error_of_current(&self->error, rc < 0 ? rc : ANYIO_SERVICE_ENDED);
	anyio_event_set(&self->over);
	if (self->group != NULL)
		service_settle(self);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static bool service_is_among(const struct service_group *group, const struct service *self)
{
	const struct service *at = group->last;

	while (at != NULL && at != self)
		at = at->before;
	return at != NULL;
}

/* The running task goes on with it as with its own. */
static int service_fail(const struct service *self)
{
	const struct anyio_task_error *error = &self->error;

	if (error->failed_file == NULL)
		return error->code;
	return anyio_fail_here(error->code, error->text, error->failed_file, error->failed_line);
}

int anyio_service_start(struct anyio_service_group *group, struct anyio_service *service,
	anyio_service_fn fn, void *arg, const char *name)
{
	struct service_group *all = of(group);
	struct service *self = (struct service *)service;
	int rc;

	if (all->task != anyio_current_task())
		return ANYIO_WRONG_ORDER;
	if (service_is_among(all, self))
		return -EBUSY;
	*self = (struct service){ .fn = fn, .arg = arg };
	strncpy(self->error.task, name == NULL ? "service" : name, sizeof(self->error.task) - 1);
	if (anyio_event_is_set(&all->stop))
		return ANYIO_STOPPED;
	anyio_cancel_scope_init(&self->scope);
	anyio_list_init(&self->untils);
	anyio_event_init(&self->over);
	rc = anyio_start(&all->tasks, service_main, self, self->error.task, NULL);
	if (rc == ANYIO_NOT_STARTED && self->rc < 0)
		rc = self->end == ANYIO_SERVICE_FAILED ? service_fail(self) : self->rc;
	if (rc < 0) {
		self->end = ANYIO_SERVICE_RUNS;
		if (self->rc == 0)
			self->error.code = 0;
		return rc;
	}
	self->before = all->last;
	all->last = self;
	self->group = all;
	anyio_cancel_scope_set_shield(&self->scope, true);
	if (anyio_event_is_set(&self->over))
		service_settle(self);
	return 0;
}

int anyio_service_group_wait(struct anyio_service_group *group)
{
	return anyio_event_wait(&of(group)->stop);
}

void anyio_service_group_stop(struct anyio_service_group *group)
{
	anyio_event_set(&of(group)->stop);
}

void anyio_service_group_hurry(struct anyio_service_group *group)
{
	struct service_group *self = of(group);

	anyio_event_set(&self->stop);
	self->hurried = true;
	if (self->grace != NULL)
		anyio_cancel_scope_cancel(self->grace, "hurried");
}

static int watch_signals(void *arg)
{
	struct anyio_service_group *group = arg;
	struct service_group *self = arg;
	int rc;

	/* The exit may have come before this task's first turn. */
	if (self->signals == NULL)
		return 0;
	while ((rc = anyio_signal_receive(self->signals)) > 0) {
		if (anyio_event_is_set(&self->stop))
			anyio_service_group_hurry(group);
		else
			anyio_service_group_stop(group);
	}
	return rc == ANYIO_CLOSED ? 0 : rc;
}

int anyio_service_group_stop_on(struct anyio_service_group *group, const int *signals)
{
	struct service_group *self = of(group);
	int rc;

	if (self->signals != NULL)
		return ANYIO_BUSY;
	rc = anyio_signal_open(signals, &self->signals);
	if (rc < 0)
		return rc;
	rc = anyio_try_start_soon(&self->tasks, watch_signals, group, "service signals");
	if (rc < 0) {
		anyio_signal_close(self->signals);
		self->signals = NULL;
	}
	return rc;
}

static void service_ask(struct service *self)
{
	self->asked = true;
	for (struct anyio_list *at = self->untils.next; at != &self->untils; at = at->next)
		anyio_cancel_scope_cancel(
			&anyio_container(at, struct until, node)->scope, "asked to stop");
}

static int wait_over(void *arg)
{
	return anyio_event_wait(arg);
}

/* Whether it ended in time; grace is what a cancellation or a hurry takes away. */
static bool service_wait(struct service *self, anyio_time timeout, bool grace)
{
	struct service_group *group = self->group;
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, timeout);
	anyio_cancel_scope_set_shield(&scope, !grace);
	group->grace = grace ? &scope : NULL;
	anyio_cancel_scope_run(&scope, wait_over, &self->over);
	group->grace = NULL;
	return anyio_event_is_set(&self->over);
}

static void service_stop(struct service *self)
{
	struct service_group *group = self->group;

	if (anyio_event_is_set(&self->over))
		return;
	service_ask(self);
	if (!group->hurried && !anyio_cancel_pending() &&
		service_wait(self, group->options.grace, true))
		return;
	anyio_cancel_scope_cancel(&self->scope, "its time to stop is over");
	if (!service_wait(self, group->options.patience, false))
		group->options.report(group->options.arg, self->error.task);
}

int anyio_service_group_exit(struct anyio_service_group *group, int rc)
{
	struct service_group *self = of(group);
	int left;

	if (self->task != anyio_current_task())
		return ANYIO_WRONG_ORDER;
	rc = anyio_cancel_scope_exit(&self->body, rc);
	anyio_event_set(&self->stop);
	for (struct service *service = self->last; service != NULL; service = service->before)
		service_stop(service);
	anyio_signal_close(self->signals);
	self->signals = NULL;
	left = anyio_task_group_exit(&self->tasks, 0);
	if (self->failed != NULL)
		return service_fail(self->failed);
	return rc < 0 && rc != ANYIO_CANCELLED ? rc : left < 0 ? left : rc;
}

int anyio_service_until_stop(struct anyio_service *service, anyio_task_fn fn, void *arg)
{
	struct service *self = (struct service *)service;
	struct until until;
	int rc;

	anyio_cancel_scope_init(&until.scope);
	if (self->asked)
		anyio_cancel_scope_cancel(&until.scope, "asked to stop");
	anyio_list_append(&self->untils, &until.node);
	rc = anyio_cancel_scope_run(&until.scope, fn, arg);
	anyio_list_remove(&until.node);
	return rc;
}

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

int anyio_service_wait_stop(struct anyio_service *service)
{
	return anyio_service_until_stop(service, sleep_forever, NULL);
}

bool anyio_service_stopping(const struct anyio_service *service)
{
	return ((const struct service *)service)->asked;
}

enum anyio_service_state anyio_service_state(const struct anyio_service *service)
{
	return ((const struct service *)service)->end;
}

const struct anyio_task_error *anyio_service_error(const struct anyio_service *service)
{
	const struct service *self = (const struct service *)service;

	return self->error.code < 0 ? &self->error : NULL;
}
