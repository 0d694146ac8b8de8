/*
 * Looking in: what the tasks of a loop are, where they stand and what they wait for. After AnyIO's
 * get_running_tasks and Trio's task tree. All functions are called on the loop's thread, from a task, an
 * instrument, or a call by anyio_call_soon; they never wait. Names, texts and places in what they
 * give are not copies: they are good until the next wait.
 */
#ifndef ANYIO_TREE_H
#define ANYIO_TREE_H

#include <stdio.h>
#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a task is doing. */
enum anyio_task_state {
	ANYIO_STATE_RUNNING, /* the current task */
	ANYIO_STATE_READY,   /* waits for nothing but its turn */
	ANYIO_STATE_WAITING
};

/* A cancel scope. */
struct anyio_scope_info {
	const char *file;    /* where it was entered; for a task's own scope its name and line 0 */
	int line;            /* the same */
	bool group;          /* it is a task group's */
	bool shield;         /* what happens outside does not reach in */
	bool cancelled;      /* effective: what is inside is cancelled, now */
	bool cancel_called;  /* this very scope was cancelled, or its deadline fired */
	const char *reason;  /* then, if one was given; else NULL */
	anyio_time deadline; /* on the loop's clock; ANYIO_FOREVER: none */
};

/* A task. */
struct anyio_task_info {
	uint64_t id;                 /* unique in its loop, from 1 in the order of spawning */
	uint64_t parent;             /* the host of its group; 0: it is in none, as the root task */
	const char *name;            /* as it was spawned with */
	const char *group_file;      /* where its group was entered; NULL: in none */
	int group_line;              /* the same */
	enum anyio_task_state state; /* what it is doing */
	const char *waits_for;       /* "receive", "a lock"; NULL: does not wait, or did not say */
	int waits_fd;                /* the descriptor of that operation; -1: none */
	anyio_time waits_until;      /* of a sleep; ANYIO_FOREVER: none */
	struct anyio_scope_info scope; /* the innermost it is in */
	void *reserved[4];
};

/* Of a task that has not ended. */
ANYIO_API void anyio_task_describe(const struct anyio_task *task, struct anyio_task_info *info);

/* All tasks of this loop in the order of spawning, as many as there is room for; returns how many there
 * are, 0 outside a loop. */
ANYIO_API size_t anyio_task_list(struct anyio_task_info *infos, size_t room);

/*
 * The tasks as text, a line for each task, scope and group; inside what it stands under is what is
 * indented more:
 *
 *	anyio: 3 tasks on uring; what is indented lies inside what stands above it
 *	root (task 1) waits for its children
 *	  group at server.c:40, 2 children
 *	    accept (task 2) waits for accept on descriptor 5
 *	    client (task 3) waits for receive on descriptor 9
 *	      scope at client.c:12, 4.200 s left, shielded
 *
 * write gets whole lines, and may not wait. Beyond 40 levels the indent stays and the level is said.
 * SIGQUIT has it written to standard error (struct anyio_options). ANYIO_NO_LOOP.
 */
ANYIO_API int anyio_task_tree(void (*write)(void *arg, const char *text, size_t size), void *arg);
/* The same to a stdio file. */
ANYIO_API int anyio_task_tree_print(FILE *file);

#ifdef __cplusplus
}
#endif
#endif
