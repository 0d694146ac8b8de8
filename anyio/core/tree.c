/*
 * Looking in: task infos and the task tree.
 *
 * The tree. A task holds the scopes it entered, one in the other; a group's scope holds the group's
 * children first, then what its host entered inside. Scopes know their parent only, so what a task
 * entered is linked inwards when the task is shown. The walk needs no memory and no recursion, however
 * deep the tree is.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <anyio/tree.h>
#include "loop.h"

enum { INDENTS = 40, LINE = 400 };
#define MOMENT (100 * ANYIO_MILLISECOND)

struct tree {
	struct anyio_loop *loop;
	void (*write)(void *arg, const char *text, size_t size);
	void *arg;
	size_t used;
	char line[LINE];
};

/* Where the walk is: at a task, or at a scope it entered. */
struct cursor {
	struct anyio_task *top, *task;
	struct scope *scope; /* NULL: the task itself */
	size_t depth;
};

static void __attribute__((format(printf, 2, 3))) add(struct tree *tree, const char *format, ...)
{
	size_t room = LINE - tree->used - 1; /* the end of the line has its place */
	va_list args;
	va_start(args, format);
	int length = vsnprintf(tree->line + tree->used, room, format, args);
	va_end(args);
	if (length > 0)
		tree->used += (size_t)length < room ? (size_t)length : room - 1;
}

/* What programs chose, strangers perhaps: without what would end the line, or a terminal obey. */
static void add_text(struct tree *tree, const char *text)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		bool c1 = byte == 0xc2 && (unsigned char)text[1] < 0xa0;
		add(tree, byte < ' ' || byte == 0x7f || c1 ? "\\x%02X" : "%c", byte);
	}
}

/* Whoever waited in write would have the tree change under the walk: there is no task to do it. */
static void end_line(struct tree *tree)
{
	struct anyio_task *self = tree->loop->current;
	tree->line[tree->used++] = '\n';
	tree->loop->current = NULL;
	tree->write(tree->arg, tree->line, tree->used);
	tree->loop->current = self;
	tree->used = 0;
}

static void indent(struct tree *tree, size_t depth)
{
	add(tree, "%*s", (int)(depth < INDENTS ? depth : INDENTS) * 2, "");
	if (depth > INDENTS)
		add(tree, "[level %zu] ", depth);
}

static void add_time_left(struct tree *tree, anyio_time when)
{
	anyio_time left = when > tree->loop->clock.now ? when - tree->loop->clock.now : 0;
	add(tree, ", %lld.%03lld s left", (long long)(left / ANYIO_SECOND),
		(long long)(left % ANYIO_SECOND / ANYIO_MILLISECOND));
}

static void add_cancelled(struct tree *tree, const struct scope *scope)
{
	if (scope->cancel_called) {
		add(tree, ", cancelled (");
		add_text(tree, scope->reason ? scope->reason : "no reason given");
		add(tree, ")");
	} else if (scope->effective) {
		add(tree, ", cancelled from outside");
	}
}

static void show_scope(struct tree *tree, const struct scope *scope)
{
	add(tree, "%s at %s:%d", scope->group ? "group" : "scope", scope->file, scope->line);
	if (scope->group) {
		size_t count = ((const struct group *)scope)->child_count;
		add(tree, ", %zu %s", count, count == 1 ? "child" : "children");
	}
	if (scope->deadline != ANYIO_FOREVER && !scope->cancel_called)
		add_time_left(tree, scope->deadline);
	if (scope->shield)
		add(tree, ", shielded");
	add_cancelled(tree, scope);
}

static enum anyio_task_state state_of(const struct anyio_task *task)
{
	if (task == task->loop->current)
		return ANYIO_STATE_RUNNING;
	return task->state == TASK_PARKED ? ANYIO_STATE_WAITING : ANYIO_STATE_READY;
}

static void show_task(struct tree *tree, const struct anyio_task *task)
{
	static const char *const doing[] = { [ANYIO_STATE_RUNNING] = "runs",
		[ANYIO_STATE_READY] = "is ready to run",
		[ANYIO_STATE_WAITING] = "waits" };
	enum anyio_task_state state = state_of(task);
	add_text(tree, task->name);
	add(tree, " (task %llu) %s", (unsigned long long)task->id, doing[state]);
	if (state == ANYIO_STATE_WAITING && task->waits_for) {
		add(tree, " for %s", task->waits_for);
		if (task->waits_fd >= 0)
			add(tree, " on descriptor %d", task->waits_fd);
		if (task->waits_until != ANYIO_FOREVER)
			add_time_left(tree, task->waits_until);
	}
	if (task->base == &task->own)
		add_cancelled(tree, &task->own);
}

/* Links what the task entered from the outermost in, which it returns; NULL: nothing. */
static struct scope *link_scopes(struct anyio_task *task)
{
	struct scope *inner = NULL;
	for (struct scope *at = task->scope; at != task->base; at = at->parent) {
		at->inner = inner;
		inner = at;
	}
	return inner;
}

static struct anyio_task *first_child(const struct scope *scope)
{
	const struct group *group = (const struct group *)scope;
	if (!scope->group || anyio_list_empty(&group->children))
		return NULL;
	return anyio_container(group->children.next, struct anyio_task, in_group);
}

/* From a task whose scopes are through: to its next sibling, else into what its group's host entered
 * inside the group, else on from the host. */
static bool step_on(struct cursor *at)
{
	while (at->task != at->top) {
		struct group *group = at->task->group;
		struct anyio_list *next = at->task->in_group.next;
		if (next != &group->children) {
			at->task = anyio_container(next, struct anyio_task, in_group);
			return true;
		}
		at->task = group->host;
		if (group->scope.inner) {
			at->scope = group->scope.inner;
			return true;
		}
		for (struct scope *out = &group->scope; out != at->task->base; out = out->parent)
			at->depth--;
		at->depth--;
	}
	return false;
}

static bool step(struct cursor *at)
{
	struct anyio_task *child = at->scope ? first_child(at->scope) : NULL;
	struct scope *inner = at->scope ? at->scope->inner : link_scopes(at->task);
	if (child || inner) {
		at->depth++;
		at->scope = child ? NULL : inner;
		at->task = child ? child : at->task;
		return true;
	}
	for (; at->scope; at->depth--)
		at->scope = at->scope->parent == at->task->base ? NULL : at->scope->parent;
	return step_on(at);
}

static void show_from(struct tree *tree, struct anyio_task *top)
{
	struct cursor at = { .top = top, .task = top };
	do {
		indent(tree, at.depth);
		if (at.scope)
			show_scope(tree, at.scope);
		else
			show_task(tree, at.task);
		end_line(tree);
	} while (step(&at));
}

static void show(struct tree *tree)
{
	const struct anyio_loop *loop = tree->loop;
	add(tree, "anyio: %zu task%s on %s; what is indented lies inside what stands above it",
		loop->task_count, loop->task_count == 1 ? "" : "s", loop->backend->name);
	add_cancelled(tree, &loop->root_scope);
	end_line(tree);
	for (struct anyio_list *at = loop->tasks.next; at != &loop->tasks; at = at->next) {
		struct anyio_task *task = anyio_container(at, struct anyio_task, all);
		if (!task->group)
			show_from(tree, task);
	}
}

int anyio_task_tree(void (*write)(void *arg, const char *text, size_t size), void *arg)
{
	struct tree tree = { .loop = anyio_loop_here, .write = write, .arg = arg };
	if (!tree.loop)
		return ANYIO_NO_LOOP;
	show(&tree);
	return 0;
}

static void write_file(void *arg, const char *text, size_t size)
{
	fwrite(text, 1, size, arg);
}

int anyio_task_tree_print(FILE *file)
{
	return anyio_task_tree(write_file, file);
}

/* Whoever reads standard error gets a moment for all of it; what he does not take by then is lost, for
 * the loop has other things to do. */
static void write_error(void *until, const char *text, size_t size)
{
	struct pollfd error = { .fd = STDERR_FILENO, .events = POLLOUT };
	anyio_time left = *(anyio_time *)until - clock_real();
	ssize_t ignored;
	if (poll(&error, 1, left > 0 ? (int)(left / ANYIO_MILLISECOND) : 0) > 0)
		ignored = write(STDERR_FILENO, text, size);
	(void)ignored;
}

void tree_say(struct anyio_loop *loop)
{
	anyio_time until = clock_real() + MOMENT;
	struct tree tree = { .loop = loop, .write = write_error, .arg = &until };
	show(&tree);
}

static void scope_describe(const struct scope *scope, struct anyio_scope_info *info)
{
	*info = (struct anyio_scope_info){ .file = scope->file,
		.line = scope->line,
		.group = scope->group,
		.shield = scope->shield,
		.cancelled = scope->effective,
		.cancel_called = scope->cancel_called,
		.reason = scope->reason,
		.deadline = scope->deadline };
}

void anyio_task_describe(const struct anyio_task *task, struct anyio_task_info *info)
{
	const struct group *group = task->group;
	*info = (struct anyio_task_info){ .id = task->id,
		.parent = group ? group->host->id : 0,
		.name = task->name,
		.group_file = group ? group->scope.file : NULL,
		.group_line = group ? group->scope.line : 0,
		.state = state_of(task),
		.waits_fd = -1,
		.waits_until = ANYIO_FOREVER };
	if (info->state == ANYIO_STATE_WAITING && task->waits_for) {
		info->waits_for = task->waits_for;
		info->waits_fd = task->waits_fd;
		info->waits_until = task->waits_until;
	}
	scope_describe(task->scope, &info->scope);
}

size_t anyio_task_list(struct anyio_task_info *infos, size_t room)
{
	const struct anyio_loop *loop = anyio_loop_here;
	size_t count = 0;
	if (!loop)
		return 0;
	for (const struct anyio_list *at = loop->tasks.next; at != &loop->tasks && count < room;
		at = at->next)
		anyio_task_describe(anyio_container(at, struct anyio_task, all), &infos[count++]);
	return loop->task_count;
}
