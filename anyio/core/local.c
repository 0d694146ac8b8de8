/*
 * Task-local and run-local variables.
 *
 * What a task has set is one counted array of bindings, and spawning shares it. So a spawn costs one
 * count, and only who changes a shared array pays for a copy. The invariant: an array with more than one
 * reference never changes; an array is never empty (none is NULL).
 */
#include <errno.h>
#include <anyio/local.h>
#include "loop.h"

enum { ROUNDS = 1000 }; /* in which locals may be set by the end of others */

struct binding {
	const void *key; /* struct anyio_task_local or anyio_run_local */
	void *value;
};

struct locals {
	size_t references; /* tasks */
	size_t count;
	struct binding bindings[];
};

enum token_state { TOKEN_USED, TOKEN_SET, TOKEN_UNSET };

struct token {
	const void *key;
	void *value;
	uint64_t task; /* its id */
	uint8_t state; /* what was before */
};
_Static_assert(sizeof(struct token) <= sizeof(struct anyio_local_token), "token fits");

static struct binding *find(struct locals *locals, const void *key)
{
	for (size_t i = 0; locals && i < locals->count; i++)
		if (locals->bindings[i].key == key)
			return &locals->bindings[i];
	return NULL;
}

static void hold(const struct binding *binding)
{
	const struct anyio_task_local *local = binding->key;
	if (local->hold)
		local->hold(binding->value);
}

static void release(const struct anyio_task_local *local, void *value)
{
	if (local->release)
		local->release(value);
}

static size_t size_of(size_t count)
{
	return sizeof(struct locals) + count * sizeof(struct binding);
}

/* The same bindings for one task alone, with room for one more. */
static struct locals *copy(struct locals *old)
{
	size_t count = old ? old->count : 0;
	struct locals *own = anyio_malloc(size_of(count + 1));
	if (!own)
		return NULL;
	own->references = 1;
	own->count = count;
	for (size_t i = 0; i < count; i++) {
		own->bindings[i] = old->bindings[i];
		hold(&own->bindings[i]);
	}
	if (old)
		old->references--;
	return own;
}

/* The binding of key, in an array that is the task's own; added, with value NULL, when it is missing
 * and *missing says so. NULL: no memory, nothing changed. */
static struct binding *own_binding(struct locals **locals, const void *key, bool *missing)
{
	struct binding *binding = find(*locals, key);
	struct locals *own = *locals;
	*missing = !binding;
	if (binding && own->references == 1)
		return binding;
	if (!own || own->references > 1)
		own = copy(own);
	else
		own = anyio_realloc(own, size_of(own->count + 1));
	if (!own)
		return NULL;
	*locals = own;
	if (!*missing)
		return find(own, key);
	own->bindings[own->count] = (struct binding){ .key = key };
	return &own->bindings[own->count++];
}

/* The order of the others stays: run-locals are destroyed by it. */
static void remove_binding(struct locals **locals, struct binding *binding)
{
	struct locals *own = *locals;
	struct binding *end = &own->bindings[--own->count];
	for (; binding < end; binding++)
		binding[0] = binding[1];
	if (own->count == 0) {
		anyio_free(own);
		*locals = NULL;
	}
}

struct locals *locals_share(struct locals *locals)
{
	locals->references++;
	return locals;
}

static void release_all(struct locals *locals)
{
	if (--locals->references > 0)
		return;
	for (size_t i = locals->count; i-- > 0;)
		release(locals->bindings[i].key, locals->bindings[i].value);
	anyio_free(locals);
}

static void count_round(unsigned *rounds, const char *callback)
{
	if (++*rounds > ROUNDS)
		anyio_die(__FILE__, __LINE__, "the %s of a local sets a local each time", callback);
}

/* What is released may set locals in turn: those are released next. */
void locals_drop(struct locals **locals)
{
	unsigned rounds = 0;
	while (*locals) {
		struct locals *all = *locals;
		*locals = NULL;
		count_round(&rounds, "release");
		release_all(all);
	}
}

void locals_destroy(struct locals **locals)
{
	unsigned rounds = 0;
	size_t left = *locals ? (*locals)->count : 0; /* of those set before the round began */
	while (*locals) {
		if (left-- == 0) {
			count_round(&rounds, "destroy");
			left = (*locals)->count - 1;
		}
		struct binding last = (*locals)->bindings[(*locals)->count - 1];
		const struct anyio_run_local *local = last.key;
		remove_binding(locals, &(*locals)->bindings[(*locals)->count - 1]);
		if (local->destroy)
			local->destroy(last.value);
	}
}

/* Whether the token brings back something of key, set by this task (0: of the run). */
static bool redeemable(const struct token *token, const void *key, uint64_t task)
{
	return token->state != TOKEN_USED && token->key == key && token->task == task;
}

static void token_fill(
	struct token *token, const struct binding *binding, bool unset, uint64_t task)
{
	*token = (struct token){ .key = binding->key,
		.value = binding->value,
		.task = task,
		.state = unset ? TOKEN_UNSET : TOKEN_SET };
}

void *anyio_task_local_get(const struct anyio_task_local *local)
{
	struct anyio_task *task = anyio_current_task();
	struct binding *binding = task ? find(task->locals, local) : NULL;
	return binding ? binding->value : local->initial;
}

int anyio_task_local_set(
	const struct anyio_task_local *local, void *value, struct anyio_local_token *before)
{
	struct anyio_task *task = anyio_current_task();
	bool unset;
	if (!task)
		return ANYIO_NO_LOOP;
	struct binding *binding = own_binding(&task->locals, local, &unset);
	if (!binding)
		return -ENOMEM;
	struct binding old = *binding;
	if (before)
		token_fill((struct token *)before, &old, unset, task->id);
	binding->value = value;
	hold(binding);
	if (!before && !unset)
		release(local, old.value);
	return 0;
}

int anyio_task_local_reset(const struct anyio_task_local *local, struct anyio_local_token *before)
{
	struct token *token = (struct token *)before;
	struct anyio_task *task = anyio_current_task();
	bool unset;
	if (!task)
		return ANYIO_NO_LOOP;
	if (!redeemable(token, local, task->id))
		return -EINVAL;
	struct binding *binding = own_binding(&task->locals, local, &unset);
	if (!binding)
		return -ENOMEM;
	struct binding now = *binding;
	if (token->state == TOKEN_UNSET)
		remove_binding(&task->locals, binding);
	else
		binding->value = token->value; /* the token's reference is the binding's now */
	token->state = TOKEN_USED;
	if (!unset)
		release(local, now.value);
	return 0;
}

void *anyio_run_local_get(const struct anyio_run_local *local)
{
	struct anyio_loop *loop = anyio_loop_here;
	struct binding *binding = loop ? find(loop->locals, local) : NULL;
	return binding ? binding->value : local->initial;
}

static void destroy(const struct anyio_run_local *local, void *value)
{
	if (local->destroy)
		local->destroy(value);
}

int anyio_run_local_set(
	const struct anyio_run_local *local, void *value, struct anyio_local_token *before)
{
	struct anyio_loop *loop = anyio_loop_here;
	bool unset;
	if (!loop)
		return ANYIO_NO_LOOP;
	struct binding *binding = own_binding(&loop->locals, local, &unset);
	if (!binding)
		return -ENOMEM;
	struct binding old = *binding;
	if (before)
		token_fill((struct token *)before, &old, unset, 0);
	binding->value = value;
	if (!before && !unset)
		destroy(local, old.value);
	return 0;
}

int anyio_run_local_reset(const struct anyio_run_local *local, struct anyio_local_token *before)
{
	struct token *token = (struct token *)before;
	struct anyio_loop *loop = anyio_loop_here;
	if (!loop)
		return ANYIO_NO_LOOP;
	if (!redeemable(token, local, 0))
		return -EINVAL;
	struct binding *binding = find(loop->locals, local);
	if (!binding)
		return -EINVAL;
	struct binding now = *binding;
	if (token->state == TOKEN_UNSET)
		remove_binding(&loop->locals, binding);
	else
		binding->value = token->value;
	token->state = TOKEN_USED;
	destroy(local, now.value);
	return 0;
}
