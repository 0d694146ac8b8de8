/*
 * An exception that leaves a task's body has nobody to go to: the task's caller is the scheduler.
 *
 * The first frame of every task (switch.S) has anyio_unwound as its personality routine, which is
 * whom an unwinder asks for a handler when it found none above; that is, only when none is left to
 * ask. The routine names the task and has no handler either, so that the unwinder reports the end
 * of the stack, and the language does as ever: C++ calls std::terminate, which says what was
 * thrown, on the stack as it was. C programs, and tasks that throw nothing, pay nothing.
 */
#include <stdio.h>
#include <unistd.h>
#include <unwind.h>
#include "loop.h"

_Unwind_Reason_Code anyio_unwound(int version, _Unwind_Action actions,
	_Unwind_Exception_Class class, struct _Unwind_Exception *exception,
	struct _Unwind_Context *context);

_Unwind_Reason_Code anyio_unwound(int version, _Unwind_Action actions,
	_Unwind_Exception_Class class, struct _Unwind_Exception *exception,
	struct _Unwind_Context *context)
{
	const struct anyio_task *task = anyio_current_task();
	char text[128];
	int size = snprintf(text, sizeof text, "anyio: an exception left the body of task \"%s\"\n",
		task ? task->name : "?");
	ssize_t ignored = write(STDERR_FILENO, text, (size_t)size);
	(void)ignored;
	return _URC_CONTINUE_UNWIND;
}
