/*
 * A choice first looks for a branch that need not wait, and takes it by the call that never waits.
 * Only when there is none does it enter the queues, by one wait set: whoever hands it an item, or
 * takes its own, takes it out of all queues in the same step. Nobody runs between the look and the
 * queues, so that nothing is missed; and while it is in one queue it can still take that branch, so
 * that a waiting receiver owns the next item here as well.
 */
#include <anyio/choose.h>
#include "../sync/event.h"
#include "channel.h"

/* Where a branch waits; in its opaque part. */
static struct party *choice_party(struct anyio_choice *choice)
{
	return (struct party *)choice->opaque;
}
_Static_assert(sizeof(struct party) <= sizeof(((struct anyio_choice *)0)->opaque), "it fits");

static bool choice_ready(const struct anyio_choice *choice)
{
	if (choice->receive != NULL)
		return channel_may_receive(choice->receive->channel);
	if (choice->send != NULL)
		return channel_may_send(choice->send->channel);
	return choice->event != NULL && anyio_event_is_set(choice->event);
}

static int choice_take(struct anyio_choice *choice)
{
	if (choice->receive != NULL)
		return anyio_receive_nowait(choice->receive, choice->item);
	if (choice->send != NULL)
		return anyio_send_nowait(choice->send, choice->item);
	return 0;
}

static void choice_wait(struct anyio_choice *choice, struct anyio_wait_set *set)
{
	struct party *party = choice_party(choice);

	party->item = choice->item;
	if (choice->receive != NULL) {
		party->end = choice->receive;
		anyio_wait_set_add(set, &choice->receive->channel->receiving, &party->waiter);
	} else if (choice->send != NULL) {
		party->end = choice->send;
		anyio_wait_set_add(set, &choice->send->channel->sending, &party->waiter);
	} else if (choice->event != NULL) {
		anyio_wait_set_add(set, &((struct event *)choice->event)->waiting, &party->waiter);
	}
}

int anyio_choose_nowait(struct anyio_choice *choices, size_t count)
{
	struct anyio_loop *loop = anyio_loop_current();
	size_t ready = 0, chosen = 0;

	if (loop == NULL)
		return ANYIO_NO_LOOP;
	for (size_t i = 0; i < count; i++)
		if (choice_ready(&choices[i]) &&
			(++ready == 1 || anyio_loop_random(loop) % ready == 0))
			chosen = i;
	if (ready == 0)
		return ANYIO_WOULD_BLOCK;
	choices[chosen].rc = choice_take(&choices[chosen]);
	return (int)chosen;
}

static int choose_wait(struct anyio_choice *choices, size_t count)
{
	struct anyio_wait_set set = { .first = NULL };
	int rc;

	for (size_t i = 0; i < count; i++)
		choice_wait(&choices[i], &set);
	anyio_waits_for("a choice");
	rc = anyio_wait_any(&set);
	for (size_t i = 0; i < count && set.woken != NULL; i++) {
		if (set.woken == &choice_party(&choices[i])->waiter) {
			choices[i].rc = rc;
			return (int)i;
		}
	}
	return rc;
}

int anyio_choose(struct anyio_choice *choices, size_t count)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	rc = anyio_choose_nowait(choices, count);
	if (rc == ANYIO_WOULD_BLOCK)
		return choose_wait(choices, count);
	anyio_pass();
	return rc;
}
