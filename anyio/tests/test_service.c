/* Service groups: the order of stopping, grace, patience, failures, signals. */
#include "conformance.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4 };

/* What happened, one letter each, in order. */
static char story[64];

static void tell(char letter)
{
	size_t length = strlen(story);

	if (length + 1 == sizeof(story))
		abort();
	story[length] = letter;
	story[length + 1] = 0;
}

static void check_story(const char *expected)
{
	if (strcmp(story, expected) != 0)
		conformance_fail(__FILE__, __LINE__, "it went \"%s\", not \"%s\"", story, expected);
	story[0] = 0;
}

/* How a service behaves. Tells its letter: small when asked to stop, capital at its end. */
struct plan {
	struct anyio_service service;
	char letter;
	anyio_time winds_down;  /* after it is asked */
	anyio_time clings;      /* after it is cancelled */
	anyio_time quits_after; /* by itself, with rc; 0: not */
	int rc;
	const char *why; /* NULL: it does not say */
};

static int cling(struct plan *self)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	return anyio_cancel_scope_exit(&scope, anyio_sleep(self->clings));
}

static int serve_plan(struct anyio_service *service, void *arg)
{
	struct plan *self = arg;
	int rc;

	CHECK_RC(anyio_started(NULL), 0);
	CHECK(!anyio_service_stopping(service));
	if (self->quits_after > 0) {
		CHECK_RC(anyio_sleep(self->quits_after), 0);
		tell((char)(self->letter - 'a' + 'A'));
		return self->why == NULL ? self->rc : anyio_fail(self->rc, self->why);
	}
	rc = anyio_service_wait_stop(service);
	CHECK(anyio_service_stopping(service));
	if (rc == 0) {
		tell(self->letter);
		rc = self->winds_down == 0 ? 0 : anyio_sleep(self->winds_down);
	}
	if (rc < 0 && self->clings > 0)
		CHECK_RC(cling(self), 0);
	tell((char)(self->letter - 'a' + 'A'));
	return rc < 0 ? rc : self->rc;
}

static void start_all(struct anyio_service_group *group, struct plan *plans, size_t count)
{
	static const char *const names[MOST] = { "first", "second", "third", "fourth" };
	char name[16]; /* they are copied */

	for (size_t i = 0; i < count; i++) {
		plans[i].letter = (char)('a' + i);
		strcpy(name, names[i]);
		CHECK_RC(anyio_service_start(group, &plans[i].service, serve_plan, &plans[i], name),
			0);
		memset(name, '?', sizeof(name));
	}
}

static int stops_in_reverse_order(void *arg)
{
	struct plan plans[3] = { { .winds_down = 3 }, { .winds_down = 2 }, { .winds_down = 1 } };
	struct anyio_service_group group;
	struct anyio_service late;

	anyio_service_group_enter(&group, NULL);
	start_all(&group, plans, 3);
	for (int i = 0; i < 3; i++)
		CHECK(anyio_service_state(&plans[i].service) == ANYIO_SERVICE_RUNS);
	anyio_service_group_stop(&group);
	CHECK_RC(anyio_service_group_wait(&group), 0);
	CHECK_RC(anyio_service_start(&group, &late, serve_plan, NULL, "late"), ANYIO_STOPPED);
	/* Nothing is done before the exit. */
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	check_story("");
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	check_story("cCbBaA");
	for (int i = 0; i < 3; i++)
		CHECK(anyio_service_state(&plans[i].service) == ANYIO_SERVICE_FINISHED);
	return 0;
}

static int out_of_grace_is_cancelled(void *arg)
{
	const struct anyio_service_options options = { .grace = 5 * ANYIO_SECOND };
	struct plan plans[2] = { { .winds_down = 4 * ANYIO_SECOND },
		{ .winds_down = 6 * ANYIO_SECOND, .clings = ANYIO_SECOND } };
	struct anyio_service_group group;
	anyio_time began = anyio_now();

	anyio_service_group_enter(&group, &options);
	start_all(&group, plans, 2);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	check_story("bBaA");
	CHECK(anyio_service_state(&plans[0].service) == ANYIO_SERVICE_FINISHED);
	CHECK(anyio_service_state(&plans[1].service) == ANYIO_SERVICE_CUT_SHORT);
	CHECK(anyio_now() - began >= 10 * ANYIO_SECOND);
	CHECK(anyio_now() - began < 11 * ANYIO_SECOND);
	return 0;
}

static void note_stuck(void *arg, const char *service)
{
	const char **stuck = arg;

	CHECK(*stuck == NULL);
	*stuck = service;
	tell('!');
}

/* Reported by name, and waited for only after the others have had their turn. */
static int out_of_patience_is_reported(void *arg)
{
	const char *stuck = NULL;
	const struct anyio_service_options options = {
		.grace = ANYIO_SECOND, .patience = ANYIO_SECOND, .report = note_stuck, .arg = &stuck
	};
	struct plan plans[3] = { { .rc = 0 },
		{ .winds_down = ANYIO_FOREVER, .clings = 100 * ANYIO_SECOND }, { .rc = 0 } };
	struct anyio_service_group group;

	anyio_service_group_enter(&group, &options);
	start_all(&group, plans, 3);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	check_story("cCb!aAB");
	CHECK(stuck != NULL && strcmp(stuck, "second") == 0);
	CHECK(anyio_service_state(&plans[1].service) == ANYIO_SERVICE_CUT_SHORT);
	return 0;
}

static int quit_at_once(struct anyio_service *service, void *arg)
{
	int *rc = arg;

	if (*rc > 0)
		CHECK_RC(anyio_started(NULL), 0);
	return *rc < 0 ? anyio_fail(*rc, "no port") : 0;
}

static int note_why(void *arg)
{
	struct anyio_service_group group;
	struct plan plans[2] = { { .rc = 0 },
		{ .quits_after = ANYIO_SECOND, .rc = -EIO, .why = "the disk is gone" } };
	struct anyio_service bad;
	int rc = -EADDRINUSE;

	anyio_service_group_enter(&group, NULL);
	start_all(&group, plans, 2);
	CHECK(anyio_service_error(&plans[1].service) == NULL);
	CHECK_RC(anyio_service_start(&group, &bad, quit_at_once, &rc, NULL), -EADDRINUSE);
	CHECK(strcmp(anyio_service_error(&bad)->text, "no port") == 0);
	CHECK(strcmp(anyio_service_error(&bad)->task, "service") == 0);
	rc = anyio_service_group_exit(&group, anyio_service_group_wait(&group));
	check_story("BaA");
	CHECK(strcmp(anyio_service_error(&plans[1].service)->text, "the disk is gone") == 0);
	CHECK(strcmp(anyio_service_error(&plans[1].service)->task, "second") == 0);
	CHECK(anyio_service_error(&plans[0].service) == NULL);
	return rc;
}

/* Both of the service itself, and of whoever ends with what the group's exit returned. */
static int what_a_service_said_is_kept(void *arg)
{
	const struct anyio_task_error *errors;
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	CHECK_RC(anyio_start_soon(&group, note_why, NULL, "services"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	CHECK_RC((int)anyio_task_group_errors(&group, &errors), 1);
	CHECK(strcmp(errors[0].text, "the disk is gone") == 0);
	return 0;
}

/* With an error, or without one: the wait ends, and the others stop in order. */
static int one_that_ends_by_itself_stops_all(void *arg)
{
	for (int rc = -EIO; rc <= 0; rc += EIO) {
		struct plan plans[3] = { { .winds_down = ANYIO_SECOND },
			{ .quits_after = ANYIO_SECOND, .rc = rc }, { .winds_down = ANYIO_SECOND } };
		struct anyio_service_group group;
		int waited;

		anyio_service_group_enter(&group, NULL);
		start_all(&group, plans, 3);
		waited = anyio_service_group_wait(&group);
		CHECK_RC(waited, ANYIO_CANCELLED);
		CHECK_RC(anyio_service_group_exit(&group, waited),
			rc < 0 ? rc : ANYIO_SERVICE_ENDED);
		check_story("BcCaA");
		CHECK(anyio_service_state(&plans[1].service) == ANYIO_SERVICE_FAILED);
		CHECK_RC(anyio_service_error(&plans[1].service)->code,
			rc < 0 ? rc : ANYIO_SERVICE_ENDED);
		CHECK(anyio_service_state(&plans[0].service) == ANYIO_SERVICE_FINISHED);
	}
	return 0;
}

static int an_error_while_stopping_is_returned(void *arg)
{
	struct plan plans[2] = { { .rc = 0 }, { .rc = -EIO } };
	struct anyio_service_group group;

	anyio_service_group_enter(&group, NULL);
	start_all(&group, plans, 2);
	CHECK_RC(anyio_service_group_exit(&group, -ENOENT), -EIO);
	check_story("bBaA");
	plans[1].rc = 0;
	anyio_service_group_enter(&group, NULL);
	start_all(&group, plans, 2);
	CHECK_RC(anyio_service_group_exit(&group, -ENOENT), -ENOENT);
	check_story("bBaA");
	return 0;
}

static int an_error_before_it_serves_is_its_starts_alone(void *arg)
{
	struct anyio_service_group group;
	struct plan plans[1] = { { .rc = 0 } };
	struct anyio_service service;
	int rc = -EADDRINUSE;

	anyio_service_group_enter(&group, NULL);
	start_all(&group, plans, 1);
	CHECK_RC(anyio_service_start(&group, &service, quit_at_once, &rc, "bad"), -EADDRINUSE);
	rc = 0;
	CHECK_RC(
		anyio_service_start(&group, &service, quit_at_once, &rc, "bad"), ANYIO_NOT_STARTED);
	CHECK(anyio_service_error(&service) == NULL);
	CHECK_RC(anyio_checkpoint(), 0);
	/* It served, if for no time: that is an end like any other. */
	rc = 1;
	CHECK_RC(anyio_service_start(&group, &service, quit_at_once, &rc, "brief"), 0);
	CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
	CHECK_RC(anyio_service_group_exit(&group, ANYIO_CANCELLED), ANYIO_SERVICE_ENDED);
	check_story("aA");
	return 0;
}

struct cancelled {
	struct plan plans[3];
	anyio_time began;
};

static int run_until_cancelled(void *arg)
{
	struct cancelled *self = arg;
	struct anyio_service_group group;
	int rc;

	anyio_service_group_enter(&group, NULL);
	start_all(&group, self->plans, 3);
	rc = anyio_service_group_wait(&group);
	CHECK_RC(rc, ANYIO_CANCELLED);
	return anyio_service_group_exit(&group, rc);
}

/* No grace, but the order, though the middle one takes its time to clean up. */
static int cancelled_from_outside_keeps_the_order(void *arg)
{
	struct cancelled self = { .plans = { { .winds_down = ANYIO_SECOND },
					  { .winds_down = 1, .clings = 3 * ANYIO_SECOND },
					  { .winds_down = ANYIO_SECOND } },
		.began = anyio_now() };

	CHECK_RC(anyio_fail_after(ANYIO_SECOND, run_until_cancelled, &self), -ETIMEDOUT);
	check_story("CBA");
	CHECK(anyio_now() - self.began >= 4 * ANYIO_SECOND);
	CHECK(anyio_now() - self.began < 5 * ANYIO_SECOND);
	for (int i = 0; i < 3; i++)
		CHECK(anyio_service_state(&self.plans[i].service) == ANYIO_SERVICE_CUT_SHORT);
	return 0;
}

static int never_serves(struct anyio_service *service, void *arg)
{
	tell('s');
	return anyio_sleep_forever();
}

static int start_for_ever(void *arg)
{
	struct anyio_service_group group;
	struct anyio_service service;
	int rc;

	anyio_service_group_enter(&group, NULL);
	rc = anyio_service_start(&group, &service, never_serves, NULL, "never");
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK(anyio_service_state(&service) == ANYIO_SERVICE_RUNS);
	return anyio_service_group_exit(&group, rc);
}

static int a_start_can_be_cancelled(void *arg)
{
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, start_for_ever, NULL), -ETIMEDOUT);
	check_story("s");
	return 0;
}

static int hurry_later(void *arg)
{
	int rc = anyio_sleep(ANYIO_SECOND);

	anyio_service_group_hurry(arg);
	return rc;
}

static int hurrying_takes_the_grace_of_all(void *arg)
{
	struct plan plans[3] = { { .winds_down = 5 * ANYIO_SECOND },
		{ .winds_down = 5 * ANYIO_SECOND }, { .winds_down = 5 * ANYIO_SECOND } };
	struct anyio_service_group group;
	struct anyio_task_group helpers;
	anyio_time began = anyio_now();

	anyio_task_group_enter(&helpers);
	anyio_service_group_enter(&group, NULL);
	start_all(&group, plans, 3);
	CHECK_RC(anyio_start_soon(&helpers, hurry_later, &group, "hurry"), 0);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	CHECK_RC(anyio_task_group_exit(&helpers, 0), 0);
	check_story("cCBA");
	CHECK(anyio_now() - began < 2 * ANYIO_SECOND);
	for (int i = 0; i < 3; i++)
		CHECK(anyio_service_state(&plans[i].service) == ANYIO_SERVICE_CUT_SHORT);
	return 0;
}

/* The first signal gives a grace that nobody would wait out; the second takes it. */
static int signals_stop_and_hurry(void *arg)
{
	static const int signals[] = { SIGTERM, SIGUSR1, 0 };
	const struct anyio_service_options options = { .grace = ANYIO_FOREVER };
	struct plan plans[2] = { { .rc = 0 }, { .winds_down = ANYIO_FOREVER } };
	struct anyio_service_group group;

	anyio_service_group_enter(&group, &options);
	start_all(&group, plans, 2);
	CHECK_RC(anyio_service_group_stop_on(&group, signals), 0);
	CHECK_RC(anyio_service_group_stop_on(&group, signals), ANYIO_BUSY);
	raise(SIGTERM);
	CHECK_RC(anyio_service_group_wait(&group), 0);
	raise(SIGUSR1);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	check_story("bBA");
	CHECK(anyio_service_state(&plans[1].service) == ANYIO_SERVICE_CUT_SHORT);
	return 0;
}

static int bad_signals_are_reported(void *arg)
{
	static const int signals[] = { SIGKILL, 0 };
	struct anyio_service_group group;

	anyio_service_group_enter(&group, NULL);
	CHECK_RC(anyio_service_group_stop_on(&group, signals), -EINVAL);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	return 0;
}

struct stretch {
	struct anyio_service *service;
	int rc;
};

static int sleep_long(void *arg)
{
	return anyio_sleep_forever();
}

static int answer(void *arg)
{
	return 42;
}

static int stretch_in_a_child(void *arg)
{
	struct stretch *self = arg;

	self->rc = anyio_service_until_stop(self->service, sleep_long, NULL);
	return 0;
}

/* Stretches end in every task of the service, the service itself goes on. */
static int serve_in_stretches(struct anyio_service *service, void *arg)
{
	struct stretch children[2] = { { service, 1 }, { service, 1 } };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	for (int i = 0; i < 2; i++)
		anyio_start_soon(&group, stretch_in_a_child, &children[i], "stretch");
	CHECK_RC(anyio_service_until_stop(service, answer, NULL), 42);
	CHECK_RC(anyio_started(NULL), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < 2; i++)
		CHECK_RC(children[i].rc, 0);
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	/* One that begins now ends at its first wait. */
	CHECK_RC(anyio_service_until_stop(service, sleep_long, NULL), 0);
	CHECK_RC(anyio_service_until_stop(service, answer, NULL), 42);
	return 0;
}

static int stretches_end_when_the_service_is_asked(void *arg)
{
	struct anyio_service_group group;
	struct anyio_service service;

	anyio_service_group_enter(&group, NULL);
	CHECK_RC(anyio_service_start(&group, &service, serve_in_stretches, NULL, "stretches"), 0);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	CHECK(anyio_service_state(&service) == ANYIO_SERVICE_FINISHED);
	return 0;
}

static int a_shortage_at_any_start_is_reported(void *arg)
{
	struct anyio_service_group group;
	struct plan plans[1] = { { .rc = 0 } };
	int rc, at = 0;

	anyio_service_group_enter(&group, NULL);
	do {
		plans[0].letter = 'a';
		anyio_fault_set(ANYIO_FAULT_MEMORY, (uint64_t)++at, -ENOMEM);
		rc = anyio_service_start(&group, &plans[0].service, serve_plan, &plans[0], "one");
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	} while (rc == -ENOMEM && at < 100);
	CHECK_RC(rc, 0);
	CHECK(at > 1);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	check_story("aA");
	return 0;
}

static int a_group_may_end_before_its_signals_are_watched(void *arg)
{
	static const int signals[] = { SIGUSR1, 0 };
	struct anyio_service_group group;

	anyio_service_group_enter(&group, NULL);
	CHECK_RC(anyio_service_group_stop_on(&group, signals), 0);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	return 0;
}

static int a_service_is_started_once(void *arg)
{
	struct anyio_service_group group;
	struct plan plans[2] = { { .letter = 'a' }, { .letter = 'b' } };

	anyio_service_group_enter(&group, NULL);
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_service_start(
				 &group, &plans[i].service, serve_plan, &plans[i], "one"),
			0);
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_service_start(
				 &group, &plans[i].service, serve_plan, &plans[i], "again"),
			-EBUSY);
	CHECK_RC(anyio_service_group_exit(&group, 0), 0);
	check_story("bBaA");
	return 0;
}

static int start_from_aside(void *arg)
{
	static struct anyio_service stray;

	CHECK_RC(anyio_service_start(arg, &stray, serve_plan, NULL, "stray"), ANYIO_WRONG_ORDER);
	CHECK(anyio_service_state(&stray) == ANYIO_SERVICE_RUNS); /* untouched */
	CHECK_RC(anyio_service_group_exit(arg, 0), ANYIO_WRONG_ORDER);
	return 0;
}

/* Their order is that of one task; another one's start or exit is refused, and changes nothing. */
static int only_the_groups_task_starts_and_exits(void *arg)
{
	struct anyio_service_group services;
	struct plan plans[2] = { { .letter = 'a' }, { .letter = 'b' } };

	anyio_service_group_enter(&services, NULL);
	start_all(&services, plans, 1);
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_soon(&group, start_from_aside, &services, "aside"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	check_story("");
	CHECK_RC(anyio_service_start(&services, &plans[1].service, serve_plan, &plans[1], "last"),
		0);
	CHECK_RC(anyio_service_group_exit(&services, 0), 0);
	check_story("bBaA");
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(stops_in_reverse_order, CONFORM_MOCK),
		CONFORM(out_of_grace_is_cancelled, CONFORM_MOCK),
		CONFORM(what_a_service_said_is_kept, CONFORM_MOCK),
		CONFORM(out_of_patience_is_reported, CONFORM_MOCK),
		CONFORM(one_that_ends_by_itself_stops_all, CONFORM_MOCK),
		CONFORM(an_error_while_stopping_is_returned, CONFORM_MOCK),
		CONFORM(an_error_before_it_serves_is_its_starts_alone, CONFORM_MOCK),
		CONFORM(cancelled_from_outside_keeps_the_order, CONFORM_MOCK),
		CONFORM(a_start_can_be_cancelled, CONFORM_MOCK),
		CONFORM(hurrying_takes_the_grace_of_all, CONFORM_MOCK),
		CONFORM(signals_stop_and_hurry, CONFORM_NO_SIM),
		CONFORM(a_group_may_end_before_its_signals_are_watched, 0),
		CONFORM(a_service_is_started_once, CONFORM_MOCK),
		CONFORM(only_the_groups_task_starts_and_exits, CONFORM_MOCK),
		CONFORM(bad_signals_are_reported, 0),
		CONFORM(stretches_end_when_the_service_is_asked, CONFORM_MOCK),
		CONFORM(a_shortage_at_any_start_is_reported, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
