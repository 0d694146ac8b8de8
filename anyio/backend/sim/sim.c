/*
 * The simulated backend: events in simulated time, in an order drawn from a seed.
 *
 * An operation does what it does when its event fires, never before: until then cancelling it is
 * taking the event back, or by chance letting it happen after all. What then has to wait is parked
 * at its socket and gets an event again when the socket changes. Only events complete
 * operations, and events fire only inside wait(). Time moves only in wait(), to the next
 * event or the end of the timeout; so all that happens follows from the seed and the program.
 * Work for threads runs right here, at its time.
 */
#include "net.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

struct sim_waker {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool woken;
};

/* What an operation carries while in flight. */
struct sim_flight {
	struct sim_event event;
	struct sim *sim;
	struct sim_socket *parked; /* NULL: its event is scheduled */
};
_Static_assert(sizeof(struct sim_flight) <= sizeof(((struct anyio_op *)0)->backend), "fits");

/* splitmix64 */
uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
	return limit ? sim_random(&sim->random) % limit : 0;
}

bool sim_chance(struct sim *sim, uint32_t parts_per_million)
{
	return parts_per_million && sim_below(sim, 1000000) < parts_per_million;
}

anyio_time sim_between(struct sim *sim, anyio_time low, anyio_time high)
{
	return high > low ? low + (anyio_time)sim_below(sim, (uint64_t)(high - low) + 1) : low;
}

size_t sim_short(struct sim *sim, size_t len)
{
	if (len > 1 && sim_chance(sim, sim->options.short_io))
		return 1 + sim_below(sim, len - 1);
	return len;
}

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void heap_put(struct sim *sim, size_t place, struct sim_event *event)
{
	sim->heap[place] = event;
	event->place = place;
}

static void heap_up(struct sim *sim, size_t place, struct sim_event *event)
{
	for (; place > 1 && event_before(event, sim->heap[place / 2]); place /= 2)
		heap_put(sim, place, sim->heap[place / 2]);
	heap_put(sim, place, event);
}

static void heap_down(struct sim *sim, size_t place, struct sim_event *event)
{
	for (;;) {
		size_t child = place * 2;
		if (child < sim->heap_count && event_before(sim->heap[child + 1], sim->heap[child]))
			child++;
		if (child > sim->heap_count || !event_before(sim->heap[child], event))
			break;
		heap_put(sim, place, sim->heap[child]);
		place = child;
	}
	heap_put(sim, place, event);
}

int sim_schedule(struct sim *sim, struct sim_event *event, anyio_time delay)
{
	sim_unschedule(sim, event);
	if (sim->heap_count + 1 >= sim->heap_room) {
		size_t room = sim->heap_room ? sim->heap_room * 2 : 64;
		struct sim_event **grown = realloc(sim->heap, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		sim->heap = grown;
		sim->heap_room = room;
	}
	event->when = sim->now + (delay > 0 ? delay : 0);
	event->order = sim->order++;
	heap_up(sim, ++sim->heap_count, event);
	return 0;
}

void sim_unschedule(struct sim *sim, struct sim_event *event)
{
	size_t place = event->place;
	if (!place)
		return;
	event->place = 0;
	struct sim_event *last = sim->heap[sim->heap_count--];
	if (last == event)
		return;
	if (place > 1 && event_before(last, sim->heap[place / 2]))
		heap_up(sim, place, last);
	else
		heap_down(sim, place, last);
}

static unsigned *handles_of(const struct sim_handle *handle)
{
	return handle->socket ? &handle->socket->handles : &handle->file->handles;
}

int sim_handle_new(struct sim *sim, struct sim_handle what)
{
	int at = sim->handle_free;
	if (at >= 0) {
		sim->handle_free = sim->handles[at].next_free;
	} else {
		if (sim->handle_count == sim->handle_room) {
			int room = sim->handle_room ? sim->handle_room * 2 : 64;
			struct sim_handle *grown =
				realloc(sim->handles, (size_t)room * sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			sim->handles = grown;
			sim->handle_room = room;
		}
		at = sim->handle_count++;
	}
	sim->handles[at] = what;
	++*handles_of(&what);
	return SIM_FD_FIRST + at;
}

int sim_handle_copy(struct sim *sim, int fd)
{
	const struct sim_handle *handle = sim_handle_find(sim, fd);
	return handle ? sim_handle_new(sim, *handle) : -EBADF;
}

struct sim_handle *sim_handle_find(struct sim *sim, int fd)
{
	if (fd < SIM_FD_FIRST || fd - SIM_FD_FIRST >= sim->handle_count)
		return NULL;
	struct sim_handle *handle = &sim->handles[fd - SIM_FD_FIRST];
	return handle->socket || handle->file ? handle : NULL;
}

bool sim_handle_free(struct sim *sim, int fd)
{
	int at = fd - SIM_FD_FIRST;
	bool last = --*handles_of(&sim->handles[at]) == 0;
	sim->handles[at] = (struct sim_handle){ .next_free = sim->handle_free };
	sim->handle_free = at;
	return last;
}

static struct sim_flight *flight_of(struct anyio_op *op)
{
	return (struct sim_flight *)op->backend;
}

struct sim_event *sim_op_event(struct anyio_op *op)
{
	return &flight_of(op)->event;
}

struct anyio_op *sim_event_op(struct sim_event *event)
{
	return anyio_container(event, struct anyio_op, backend);
}

void sim_op_retry(struct sim *sim, struct anyio_op *op)
{
	flight_of(op)->parked = NULL;
	if (sim_schedule(sim, sim_op_event(op), sim_between(sim, 0, ANYIO_MICROSECOND)) < 0)
		anyio_die(__FILE__, __LINE__, "no memory for the simulation's events");
}

static bool is_socket_op(const struct anyio_op *op)
{
	return op->code < ANYIO_OP_PREADV;
}

/* Does it; -EAGAIN from a socket means that it was parked there. */
static bool op_attempt(struct sim *sim, struct anyio_op *op, int64_t *result)
{
	struct sim_handle *handle = sim_handle_find(sim, op->fd);
	if (handle && handle->socket && is_socket_op(op)) {
		*result = sim_net_try(sim, op, handle->socket);
		if (*result != -EAGAIN || anyio_op_never_waits(op))
			return true;
		if (op->cancel_asked) {
			*result = -ECANCELED;
			return true;
		}
		flight_of(op)->parked = handle->socket;
		sim_net_park(handle->socket, op);
		return false;
	}
	if (sim_disk_takes(op))
		*result = sim_disk_perform(sim, op);
	else if (op->code == ANYIO_OP_GETADDRINFO)
		*result = sim_net_resolve(op);
	else if (op->code == ANYIO_OP_GETNAMEINFO)
		*result = sim_net_name(op);
	else
		*result = op->fd >= SIM_FD_FIRST ? -EBADF : anyio_op_perform(op);
	if (op->code == ANYIO_OP_FLOCK && *result == -EWOULDBLOCK && !(op->flags & LOCK_NB) &&
		!op->cancel_asked) {
		sim_schedule(sim, sim_op_event(op), ANYIO_MILLISECOND);
		return false;
	}
	return true;
}

static void op_fire(struct sim *sim, struct sim_event *event)
{
	struct anyio_op *op = sim_event_op(event);
	int64_t result;
	if (op_attempt(sim, op, &result))
		anyio_op_complete(op, result);
}

/* How long the thing itself takes, before any waiting. */
static anyio_time op_duration(struct sim *sim, const struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_FSYNC:
	case ANYIO_OP_FDATASYNC:
		return sim_between(sim, 100 * ANYIO_MICROSECOND, ANYIO_MILLISECOND);
	case ANYIO_OP_GETADDRINFO:
	case ANYIO_OP_GETNAMEINFO: return sim_between(sim, 0, ANYIO_MILLISECOND);
	default: break;
	}
	if (is_socket_op(op))
		return sim_between(sim, 0, ANYIO_MICROSECOND);
	return sim_between(sim, 5 * ANYIO_MICROSECOND, 100 * ANYIO_MICROSECOND);
}

static bool start(struct sim *sim, struct anyio_op *op)
{
	if (op->code >= ANYIO_OP_SOCKET)
		return anyio_op_at_once(op, sim_net_now(sim, op));
	struct sim_handle *handle = sim_handle_find(sim, op->fd);
	bool socket = handle && handle->socket && is_socket_op(op);
	*flight_of(op) = (struct sim_flight){ .event = { .fire = op_fire }, .sim = sim };
	/* Now and then what is ready is done at once, as real backends do. */
	if (socket && op->code != ANYIO_OP_CONNECT && sim_below(sim, 2)) {
		int64_t rc = sim_net_try(sim, op, handle->socket);
		if (rc != -EAGAIN)
			return anyio_op_at_once(op, rc);
	}
	if (sim_schedule(sim, sim_op_event(op), op_duration(sim, op)) < 0)
		return anyio_op_at_once(op, -ENOMEM);
	return false;
}

static bool sim_start(void *opaque, struct anyio_op *op)
{
	bool done = start(opaque, op);
	sim_passing_settle(opaque);
	return done;
}

static enum anyio_abort sim_cancel(void *opaque, struct anyio_op *op)
{
	struct sim *sim = opaque;
	struct sim_flight *flight = flight_of(op);
	bool late = sim_chance(sim, sim->options.late_cancel);
	if (flight->parked) {
		sim_net_unpark(flight->parked, op);
		if (late)
			sim_op_retry(sim, op);
	} else if (!late) {
		sim_unschedule(sim, &flight->event);
	}
	return late ? ANYIO_ABORT_PENDING : ANYIO_ABORTED;
}

/* Nothing of the simulation is under way: only another thread can go on. */
static void wait_for_thread(struct sim_waker *waker)
{
	pthread_mutex_lock(&waker->mutex);
	while (!waker->woken)
		pthread_cond_wait(&waker->cond, &waker->mutex);
	waker->woken = false;
	pthread_mutex_unlock(&waker->mutex);
}

static void sim_wake(void *opaque)
{
	struct sim_waker *waker = ((struct sim *)opaque)->waker;
	pthread_mutex_lock(&waker->mutex);
	waker->woken = true;
	pthread_cond_signal(&waker->cond);
	pthread_mutex_unlock(&waker->mutex);
}

static void sim_wait(void *opaque, anyio_time timeout)
{
	struct sim *sim = opaque;
	anyio_time until = timeout > ANYIO_FOREVER - sim->now ? ANYIO_FOREVER : sim->now + timeout;
	if (sim->heap_count == 0 && until == ANYIO_FOREVER) {
		wait_for_thread(sim->waker);
		return;
	}
	if (sim->heap_count == 0 || sim->heap[1]->when > until) {
		sim->now = until;
		return;
	}
	if (sim->heap[1]->when > sim->now)
		sim->now = sim->heap[1]->when;
	uint64_t limit = sim->order; /* what these schedule is for the next time */
	while (sim->heap_count > 0 && sim->heap[1]->when <= sim->now &&
		sim->heap[1]->order < limit) {
		struct sim_event *event = sim->heap[1];
		sim_unschedule(sim, event);
		event->fire(sim, event);
		sim_passing_settle(sim);
	}
}

static anyio_time sim_now(void *opaque)
{
	return ((struct sim *)opaque)->now;
}

static bool sim_busy(void *opaque)
{
	return ((struct sim *)opaque)->heap_count > 0;
}

static bool sim_available(void)
{
	return true;
}

static const struct anyio_sim_options defaults = {
	.latency_min = 50 * ANYIO_MICROSECOND,
	.latency_max = 500 * ANYIO_MICROSECOND,
};

static int sim_open(struct anyio_loop *loop, const struct anyio_options *options, void **out)
{
	struct sim *sim = anyio_calloc(1, sizeof(*sim));
	struct sim_waker *waker = anyio_calloc(1, sizeof(*waker));
	if (!sim || !waker) {
		anyio_free(sim);
		anyio_free(waker);
		return -ENOMEM;
	}
	pthread_mutex_init(&waker->mutex, NULL);
	pthread_cond_init(&waker->cond, NULL);
	sim->waker = waker;
	sim->loop = loop;
	sim->options = options->sim ? *options->sim : defaults;
	sim->random = options->seed;
	sim->now = ANYIO_SECOND; /* 0 could be taken for no time at all */
	sim->handle_free = -1;
	sim->next_port = (uint16_t)(32768 + sim_below(sim, 16384));
	anyio_list_init(&sim->sockets);
	anyio_list_init(&sim->flying);
	*out = sim;
	return 0;
}

/* What a program left open ends with it, as with a process. */
static void sim_close(void *opaque)
{
	struct sim *sim = opaque;
	for (int fd = SIM_FD_FIRST; fd < SIM_FD_FIRST + sim->handle_count; fd++) {
		struct anyio_op op = { .code = ANYIO_OP_CLOSE, .fd = fd };
		if (sim_handle_find(sim, fd))
			sim_net_now(sim, &op);
	}
	sim_passing_settle(sim);
	sim_net_end(sim);
	sim_passing_settle(sim);
	pthread_cond_destroy(&sim->waker->cond);
	pthread_mutex_destroy(&sim->waker->mutex);
	anyio_free(sim->waker);
	free(sim->handles);
	free(sim->heap);
	anyio_free(sim);
}

const struct anyio_backend anyio_backend_sim = {
	.name = "sim",
	.available = sim_available,
	.open = sim_open,
	.close = sim_close,
	.start = sim_start,
	.cancel = sim_cancel,
	.wait = sim_wait,
	.wake = sim_wake,
	.now = sim_now,
	.busy = sim_busy,
};
