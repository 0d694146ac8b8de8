/*
 * The worker threads of one loop, for calls that block.
 *
 * An operation is in exactly one place: the queue, a worker's hands, or the done list. Queue and
 * done list are guarded by the mutex; an operation in a worker's hands is the worker's alone. Who is
 * woken is woken when the mutex is free, or it would only wait for that; the loop cannot go away between a
 * push and its wake, because it joins the threads first. Threads start when there is more to do than idle, end
 * when idle for long, and are joined by the loop's thread: at a later collect, or at the close.
 *
 * Waking a sleeping core takes ten times as long as a short call. So a worker out of work, and a loop that would
 * sleep while calls are out, first look for a few microseconds whether something comes, as long as looking has
 * paid lately; whoever is looked for by the other is not woken.
 *
 * A function may end its thread (pthread_exit) instead of returning: then its operation fails, and another
 * thread takes the place of this one. Cancelling by pthread_cancel is off, because it might hit what
 * comes after the function that it was meant for.
 *
 * A file that has no name any more is freed by the close of its last descriptor, which takes the kernel
 * tenths of a second for each GB. Such a close is queued as others are, but is nobody's: the
 * operation is the pool's own, and who does it frees it. At the close of the pool threads end only when
 * nothing is queued. (A ring is no help: it closes in the thread that submits, or frees there.)
 *
 * Each lane has as many threads as it may have at work, whatever the others do: a call may wait for
 * the loop (anyio_from_thread_run), whose task may want a file, and a name server may take its time, as
 * may closing what somebody else made. Work of the library's own, as starting a process, goes with the
 * files: nothing of the loop's may queue behind the program's calls.
 */
#include "../core/core.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define WORKER_STACK  ((size_t)256 << 10)
#define IDLE_SECONDS  5
#define DEFAULT_LIMIT 40
#define LOOKUPS_LIMIT 8
#define LONG_TO_CLOSE ((blkcnt_t)2048) /* blocks of 512 bytes */

/* How long to look before sleeping, which is long enough for the other to wake. */
#define LOOK      (50 * ANYIO_MICROSECOND)
#define LUCK_MOST 8
#define REST_MOST 1024

enum { LANE_CALLS, LANE_FILES, LANE_LOOKUPS, LANE_CLOSES, LANES };

struct op_fifo {
	struct anyio_op *head, **tail;
};

struct lane {
	struct op_fifo queue;
	size_t queued;
	unsigned busy, most; /* threads at it */
};

/* Whether looking pays: it did so many times more than not, lately. When it does not, it is tried again after a
 * rest of so many times, twice as many each time. */
struct looking {
	unsigned luck, rest, rested;
};

struct worker {
	pthread_t thread;
	struct anyio_pool *pool;
	struct worker *next;
	struct anyio_op *op; /* in its hands */
	struct looking looking;
};

struct anyio_pool {
	struct anyio_loop *loop;
	pthread_mutex_t mutex;
	pthread_cond_t work; /* something was queued, or closing was set */
	struct lane lanes[LANES];
	struct op_fifo done;
	unsigned idle, alive;
	unsigned lookers; /* of the idle: they need no wake */
	bool closing;
	struct worker *working; /* alive: joined at the close */
	struct worker *ended;   /* left by idling: joined at a collect */
	atomic_bool news;       /* done or ended is not empty: collect without it takes no mutex */
	atomic_bool due;        /* something is queued, or closing is set: what lookers see */
	atomic_bool loop_looks; /* at news: it needs no wake */
	/* The loop's own. */
	size_t out; /* operations started, and not collected */
	struct looking looking;
};

static anyio_time read_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ANYIO_SECOND + now.tv_nsec;
}

/* To a processor that waits for another. */
static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#else
	__asm__ volatile("yield");
#endif
}

/* Until *flag is set, for as long as that pays. */
static void look_at(struct looking *looking, atomic_bool *flag)
{
	if (looking->luck == 0 && ++looking->rested < looking->rest)
		return;
	looking->rested = 0;
	anyio_time began = read_clock(), now = began;
	while (!atomic_load_explicit(flag, memory_order_relaxed) && now - began < LOOK) {
		for (int i = 0; i < 8; i++)
			relax();
		now = read_clock();
	}
	if (atomic_load_explicit(flag, memory_order_relaxed)) {
		looking->rest = 0;
		if (looking->luck < LUCK_MOST)
			looking->luck++;
	} else if (looking->luck > 0) {
		looking->luck--;
	} else if (looking->rest < REST_MOST) {
		looking->rest = looking->rest ? looking->rest * 2 : 16;
	}
}

static void fifo_init(struct op_fifo *fifo)
{
	fifo->head = NULL;
	fifo->tail = &fifo->head;
}

static void fifo_push(struct op_fifo *fifo, struct anyio_op *op)
{
	op->next = NULL;
	*fifo->tail = op;
	fifo->tail = &op->next;
}

static struct anyio_op *fifo_pop(struct op_fifo *fifo)
{
	struct anyio_op *op = fifo->head;
	fifo->head = op->next;
	if (!fifo->head)
		fifo->tail = &fifo->head;
	return op;
}

static bool fifo_remove(struct op_fifo *fifo, struct anyio_op *op)
{
	for (struct anyio_op **at = &fifo->head; *at; at = &(*at)->next) {
		if (*at != op)
			continue;
		*at = op->next;
		if (!*at)
			fifo->tail = at;
		return true;
	}
	return false;
}

/* A close that nobody waits for. */
static bool is_own(const struct anyio_op *op)
{
	return op->code == ANYIO_OP_CLOSE && op->flags == ANYIO_CLOSE_SOON;
}

static struct lane *lane_of(struct anyio_pool *pool, const struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_WORK:
		return &pool->lanes[op->flags & ANYIO_WORK_CALL ? LANE_CALLS : LANE_FILES];
	case ANYIO_OP_GETADDRINFO:
	case ANYIO_OP_GETNAMEINFO: return &pool->lanes[LANE_LOOKUPS];
	case ANYIO_OP_CLOSE: return &pool->lanes[LANE_CLOSES];
	default: return &pool->lanes[LANE_FILES];
	}
}

/* How many operations of all lanes could begin now. */
static size_t pool_wanting(const struct anyio_pool *pool)
{
	size_t count = 0;
	for (int i = 0; i < LANES; i++) {
		const struct lane *lane = &pool->lanes[i];
		size_t free = lane->most - lane->busy;
		count += lane->queued < free ? lane->queued : free;
	}
	return count;
}

/* One that may begin, which then has; or NULL. */
static struct anyio_op *pool_take(struct anyio_pool *pool)
{
	for (int i = 0; i < LANES; i++) {
		struct lane *lane = &pool->lanes[i];
		if (lane->queued == 0 || lane->busy == lane->most)
			continue;
		lane->queued--;
		lane->busy++;
		return fifo_pop(&lane->queue);
	}
	return NULL;
}

/* With the mutex held. */
static void worker_look(struct worker *self)
{
	struct anyio_pool *pool = self->pool;
	pool->lookers++;
	atomic_store_explicit(&pool->due, false, memory_order_relaxed);
	pthread_mutex_unlock(&pool->mutex);
	look_at(&self->looking, &pool->due);
	pthread_mutex_lock(&pool->mutex);
	pool->lookers--;
}

/* Waits for work; false when the worker is to end. */
static bool worker_wait(struct worker *self)
{
	struct anyio_pool *pool = self->pool;
	struct timespec until;
	int rc = 0;
	pool->idle++;
	if (!pool->closing)
		worker_look(self);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	while (pool_wanting(pool) == 0 && !pool->closing && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&pool->work, &pool->mutex, &until);
	pool->idle--;
	return pool_wanting(pool) > 0;
}

static void worker_retire(struct worker *self)
{
	struct anyio_pool *pool = self->pool;
	pool->alive--;
	if (pool->closing)
		return;
	for (struct worker **at = &pool->working; *at; at = &(*at)->next)
		if (*at == self) {
			*at = self->next;
			break;
		}
	self->next = pool->ended;
	pool->ended = self;
	atomic_store_explicit(&pool->news, true, memory_order_relaxed);
}

static void *worker_main(void *arg);

/* All below up to worker_main: with the mutex held. */

/* True when the loop is to be woken. */
static bool pool_done(struct anyio_pool *pool, struct anyio_op *op)
{
	bool first = !pool->done.head;
	fifo_push(&pool->done, op);
	atomic_store_explicit(&pool->news, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* the one in anyio_pool_look meets it */
	return first && !atomic_load_explicit(&pool->loop_looks, memory_order_relaxed);
}

static bool worker_hand_in(const struct worker *self)
{
	lane_of(self->pool, self->op)->busy--;
	if (!is_own(self->op))
		return pool_done(self->pool, self->op);
	anyio_free(self->op);
	return false;
}

/* Nobody is left to do what is queued. True when the loop is to be woken. */
static bool pool_fail(struct anyio_pool *pool, int error)
{
	bool wake = false;
	for (int i = 0; i < LANES; i++) {
		struct lane *lane = &pool->lanes[i];
		for (; lane->queued > 0; lane->queued--) {
			struct anyio_op *op = fifo_pop(&lane->queue);
			/* A descriptor is gone whatever happens. */
			op->result = op->code == ANYIO_OP_CLOSE ? anyio_op_perform(op) : error;
			if (is_own(op))
				anyio_free(op);
			else
				wake |= pool_done(pool, op);
		}
	}
	return wake;
}

static int worker_start(struct anyio_pool *pool)
{
	struct worker *worker = anyio_calloc(1, sizeof(*worker));
	if (!worker)
		return -ENOMEM;
	worker->pool = pool;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	int rc = anyio_thread_start(&worker->thread, &attr, worker_main, worker);
	pthread_attr_destroy(&attr);
	if (rc != 0) {
		anyio_free(worker);
		return rc;
	}
	worker->next = pool->working;
	pool->working = worker;
	pool->alive++;
	return 0;
}

/* The thread is about to end in the middle of an operation. */
static void worker_torn(void *arg)
{
	struct worker *self = arg;
	struct anyio_pool *pool = self->pool;
	self->op->result = ANYIO_THREAD_ENDED;
	pthread_mutex_lock(&pool->mutex);
	bool wake = worker_hand_in(self);
	worker_retire(self);
	int rc = pool->idle < pool_wanting(pool) ? worker_start(pool) : 0;
	if (pool->alive == 0)
		wake |= pool_fail(pool, rc);
	pthread_mutex_unlock(&pool->mutex);
	if (wake)
		anyio_loop_wake(pool->loop);
}

/* Counts as idle meanwhile: whatever the loop queues at once is for it, and no reason for another thread. */
static void worker_wake_loop(struct anyio_pool *pool)
{
	pool->idle++;
	pthread_mutex_unlock(&pool->mutex);
	anyio_loop_wake(pool->loop);
	pthread_mutex_lock(&pool->mutex);
	pool->idle--;
}

static void *worker_main(void *arg)
{
	struct worker *self = arg;
	struct anyio_pool *pool = self->pool;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_mutex_lock(&pool->mutex);
	pthread_cleanup_push(worker_torn, self);
	while (pool_wanting(pool) > 0 || worker_wait(self)) {
		self->op = pool_take(pool);
		pthread_mutex_unlock(&pool->mutex);
		self->op->result = anyio_op_perform(self->op);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		pthread_mutex_lock(&pool->mutex);
		if (worker_hand_in(self))
			worker_wake_loop(pool);
	}
	pthread_cleanup_pop(0);
	worker_retire(self);
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static void workers_join(struct worker *list)
{
	while (list) {
		struct worker *next = list->next;
		pthread_join(list->thread, NULL);
		anyio_free(list);
		list = next;
	}
}

/* Nothing is in flight any more: ends and joins the threads. */
static void pool_close(void *value)
{
	struct anyio_pool *pool = value;
	pthread_mutex_lock(&pool->mutex);
	pool->closing = true;
	atomic_store_explicit(&pool->due, true, memory_order_relaxed);
	struct worker *working = pool->working;
	struct worker *ended = pool->ended;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
	workers_join(working);
	workers_join(ended);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->mutex);
	anyio_free(pool);
}

static struct anyio_pool *pool_open(struct anyio_loop *loop)
{
	struct anyio_pool *pool = anyio_calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	const struct anyio_options *options = anyio_loop_options(loop);
	pool->loop = loop;
	unsigned most =
		options && options->worker_threads ? options->worker_threads : DEFAULT_LIMIT;
	for (int i = 0; i < LANES; i++) {
		pool->lanes[i].most = i == LANE_LOOKUPS ? LOOKUPS_LIMIT : most;
		fifo_init(&pool->lanes[i].queue);
	}
	fifo_init(&pool->done);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, &attr);
	pthread_condattr_destroy(&attr);
	return pool;
}

bool anyio_pool_start(struct anyio_loop *loop, struct anyio_op *op)
{
	struct anyio_slot *slot = anyio_loop_slot(loop, ANYIO_SLOT_POOL);
	struct anyio_pool *pool = slot->value ? slot->value : pool_open(loop);
	if (!pool)
		return anyio_op_at_once(op, -ENOMEM);
	*slot = (struct anyio_slot){ pool, pool_close };
	struct lane *lane = lane_of(pool, op);
	bool own = is_own(op);
	pthread_mutex_lock(&pool->mutex);
	int rc = 0;
	lane->queued++;
	if (pool->idle < pool_wanting(pool))
		rc = worker_start(pool);
	/* Fewer threads than wished for will do; none at all will not. */
	if (pool->alive > 0)
		rc = 0;
	if (rc == 0)
		fifo_push(&lane->queue, op);
	else
		lane->queued--;
	atomic_store_explicit(&pool->due, true, memory_order_relaxed);
	bool wake = rc == 0 && pool_wanting(pool) > pool->lookers;
	pthread_mutex_unlock(&pool->mutex);
	if (wake)
		pthread_cond_signal(&pool->work);
	pool->out += rc == 0 && !own;
	return rc < 0 ? anyio_op_at_once(op, rc) : false;
}

static bool takes_long_to_close(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 &&
		st.st_blocks > LONG_TO_CLOSE;
}

/* By an operation of the pool's own. */
static bool close_later(struct anyio_loop *loop, int fd)
{
	struct anyio_op *own = anyio_calloc(1, sizeof(*own));
	if (!own)
		return false;
	own->code = ANYIO_OP_CLOSE;
	own->fd = fd;
	own->flags = ANYIO_CLOSE_SOON;
	if (!anyio_pool_start(loop, own))
		return true;
	anyio_free(own);
	return false;
}

bool anyio_pool_close(struct anyio_loop *loop, struct anyio_op *op)
{
	if (op->flags == ANYIO_CLOSE_WAITS && !anyio_pool_start(loop, op))
		return false;
	if (op->flags == ANYIO_CLOSE_SOON && takes_long_to_close(op->fd) &&
		close_later(loop, op->fd))
		return anyio_op_at_once(op, 0);
	return anyio_op_at_once(op, anyio_op_perform(op));
}

bool anyio_pool_withdraw(struct anyio_loop *loop, struct anyio_op *op)
{
	struct anyio_pool *pool = anyio_loop_slot(loop, ANYIO_SLOT_POOL)->value;
	if (!pool)
		return false;
	struct lane *lane = lane_of(pool, op);
	pthread_mutex_lock(&pool->mutex);
	bool found = fifo_remove(&lane->queue, op);
	if (found)
		lane->queued--;
	pthread_mutex_unlock(&pool->mutex);
	pool->out -= found;
	return found;
}

bool anyio_pool_look(struct anyio_loop *loop)
{
	struct anyio_pool *pool = anyio_loop_slot(loop, ANYIO_SLOT_POOL)->value;
	if (!pool || pool->out == 0)
		return false;
	atomic_store_explicit(&pool->loop_looks, true, memory_order_relaxed);
	look_at(&pool->looking, &pool->news);
	atomic_store_explicit(&pool->loop_looks, false, memory_order_relaxed);
	/* Either this sees the news, or who had it sees that nobody looks, and wakes. By fences, as stores and loads that
	 * are ordered by themselves are not so in every emulator (qemu 7.2 lets LDAR overtake STLR). */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&pool->news, memory_order_relaxed);
}

bool anyio_pool_news(struct anyio_loop *loop)
{
	struct anyio_pool *pool = anyio_loop_slot(loop, ANYIO_SLOT_POOL)->value;
	return pool && atomic_load_explicit(&pool->news, memory_order_relaxed);
}

void anyio_pool_collect(
	struct anyio_loop *loop, void (*look)(void *state, const struct anyio_op *op), void *state)
{
	if (!anyio_pool_news(loop))
		return;
	struct anyio_pool *pool = anyio_loop_slot(loop, ANYIO_SLOT_POOL)->value;
	pthread_mutex_lock(&pool->mutex);
	struct anyio_op *done = pool->done.head;
	struct worker *ended = pool->ended;
	fifo_init(&pool->done);
	pool->ended = NULL;
	atomic_store_explicit(&pool->news, false, memory_order_relaxed);
	pthread_mutex_unlock(&pool->mutex);
	while (done) {
		struct anyio_op *next = done->next; /* done may be gone once complete */
		pool->out--;
		if (look)
			look(state, done);
		anyio_op_complete(done, done->result);
		done = next;
	}
	workers_join(ended);
}
