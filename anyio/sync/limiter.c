/*
 * The borrowers are a small open-addressed table that also holds those who wait, so that a second
 * request on behalf of one is seen at once and a handoff never has to allocate. The table exists
 * only while there is somebody in it: an idle limiter costs nothing.
 */
#include <errno.h>
#include <anyio/sync.h>
#include "wait.h"

struct borrower {
	const void *key; /* NULL: a free place */
	bool holds;      /* else it waits */
};

struct limiter {
	struct borrower *table;
	size_t places; /* a power of two, at least twice the used ones */
	size_t used;
	size_t total, borrowed;
	struct anyio_wait_queue waiting;
};
_Static_assert(
	sizeof(struct limiter) <= sizeof(struct anyio_limiter), "limiter outgrew its storage");

/* A waiter that knows for whom. */
struct limiter_waiter {
	struct anyio_waiter waiter;
	const void *key;
};

static size_t table_home(const struct limiter *self, const void *key)
{
	uint64_t hash = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(hash >> 32) & (self->places - 1);
}

/* Where key is, or the free place where it would be. */
static struct borrower *table_find(const struct limiter *self, const void *key)
{
	size_t i = table_home(self, key);

	while (self->table[i].key != NULL && self->table[i].key != key)
		i = (i + 1) & (self->places - 1);
	return &self->table[i];
}

static int table_grow(struct limiter *self)
{
	struct limiter bigger = *self;

	bigger.places = self->places == 0 ? 8 : self->places * 2;
	bigger.table = anyio_calloc(bigger.places, sizeof(*bigger.table));
	if (bigger.table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < self->places; i++)
		if (self->table[i].key != NULL)
			*table_find(&bigger, self->table[i].key) = self->table[i];
	anyio_free(self->table);
	self->table = bigger.table;
	self->places = bigger.places;
	return 0;
}

static int table_add(struct limiter *self, const void *key, bool holds)
{
	struct borrower *place;

	if ((self->used + 1) * 2 > self->places && table_grow(self) < 0)
		return -ENOMEM;
	place = table_find(self, key);
	if (place->key != NULL)
		return ANYIO_BUSY;
	*place = (struct borrower){ key, holds };
	self->used++;
	return 0;
}

/* Closes the gap: those behind move up unless they would pass their home. */
static void table_remove(struct limiter *self, struct borrower *place)
{
	size_t mask = self->places - 1, gap = (size_t)(place - self->table);

	for (size_t i = (gap + 1) & mask; self->table[i].key != NULL; i = (i + 1) & mask) {
		size_t home = table_home(self, self->table[i].key);

		if (((i - home) & mask) >= ((i - gap) & mask)) {
			self->table[gap] = self->table[i];
			gap = i;
		}
	}
	self->table[gap].key = NULL;
	if (--self->used == 0) {
		anyio_free(self->table);
		self->table = NULL;
		self->places = 0;
	}
}

void anyio_limiter_init(struct anyio_limiter *limiter, size_t total)
{
	*(struct limiter *)limiter = (struct limiter){ .total = total };
}

void anyio_limiter_destroy(struct anyio_limiter *limiter)
{
	struct limiter *self = (struct limiter *)limiter;

	if (self->waiting.first != NULL)
		anyio_die(__FILE__, __LINE__, "a limiter was destroyed while %zu tasks wait for it",
			self->waiting.count);
	anyio_free(self->table);
	self->table = NULL;
	self->places = self->used = 0;
}

static void limiter_hand_out(struct limiter *self)
{
	while (self->waiting.first != NULL && self->borrowed < self->total) {
		struct limiter_waiter *next =
			anyio_container(self->waiting.first, struct limiter_waiter, waiter);

		table_find(self, next->key)->holds = true;
		self->borrowed++;
		anyio_wait_wake(&next->waiter, 0);
	}
}

void anyio_limiter_set_total(struct anyio_limiter *limiter, size_t total)
{
	struct limiter *self = (struct limiter *)limiter;

	self->total = total;
	limiter_hand_out(self);
}

int anyio_limiter_acquire_nowait_for(struct anyio_limiter *limiter, const void *borrower)
{
	struct limiter *self = (struct limiter *)limiter;
	int rc;

	if (borrower == NULL)
		return -EINVAL;
	if (self->table != NULL && table_find(self, borrower)->key != NULL)
		return ANYIO_BUSY;
	if (self->borrowed >= self->total || self->waiting.first != NULL)
		return ANYIO_WOULD_BLOCK;
	rc = table_add(self, borrower, true);
	if (rc == 0)
		self->borrowed++;
	return rc;
}

static int limiter_wait(struct limiter *self, const void *borrower)
{
	struct limiter_waiter waiter = { .key = borrower };
	int rc = table_add(self, borrower, false);

	if (rc < 0)
		return rc;
	anyio_waits_for("a limiter");
	rc = anyio_wait(&self->waiting, &waiter.waiter);
	if (rc < 0) {
		table_remove(self, table_find(self, borrower));
		return rc;
	}
	if (!anyio_cancel_pending())
		return 0;
	anyio_limiter_release_for((struct anyio_limiter *)self, borrower);
	return ANYIO_CANCELLED;
}

int anyio_limiter_acquire_for(struct anyio_limiter *limiter, const void *borrower)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	rc = anyio_limiter_acquire_nowait_for(limiter, borrower);
	if (rc == ANYIO_WOULD_BLOCK)
		return limiter_wait((struct limiter *)limiter, borrower);
	anyio_pass();
	return rc;
}

int anyio_limiter_acquire(struct anyio_limiter *limiter)
{
	return anyio_limiter_acquire_for(limiter, anyio_current_task());
}

int anyio_limiter_acquire_nowait(struct anyio_limiter *limiter)
{
	const struct anyio_task *task = anyio_current_task();

	return task == NULL ? ANYIO_NO_LOOP : anyio_limiter_acquire_nowait_for(limiter, task);
}

int anyio_limiter_release_for(struct anyio_limiter *limiter, const void *borrower)
{
	struct limiter *self = (struct limiter *)limiter;
	struct borrower *place;

	if (self->table == NULL || borrower == NULL)
		return ANYIO_NOT_OWNER;
	place = table_find(self, borrower);
	if (place->key == NULL || !place->holds)
		return ANYIO_NOT_OWNER;
	table_remove(self, place);
	self->borrowed--;
	limiter_hand_out(self);
	return 0;
}

int anyio_limiter_release(struct anyio_limiter *limiter)
{
	return anyio_limiter_release_for(limiter, anyio_current_task());
}

struct anyio_limiter_statistics anyio_limiter_statistics(const struct anyio_limiter *limiter)
{
	const struct limiter *self = (const struct limiter *)limiter;

	return (struct anyio_limiter_statistics){ self->total, self->borrowed,
		self->waiting.count };
}

size_t anyio_limiter_borrowers(
	const struct anyio_limiter *limiter, const void **borrowers, size_t room)
{
	const struct limiter *self = (const struct limiter *)limiter;
	size_t count = 0;

	for (size_t i = 0; i < self->places; i++) {
		const struct borrower *place = &self->table[i];

		if (place->key != NULL && place->holds && count++ < room)
			borrowers[count - 1] = place->key;
	}
	return count;
}
