/*
 * System calls that fail. The linker gives a test program these in place of the C library's and
 * libuv's (--wrap); each does what it should, but for the one that is told to fail.
 */
#ifndef ANYIO_TESTS_CALLS_H
#define ANYIO_TESTS_CALLS_H

#include <dirent.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

/* result, name, parameters, arguments, what it gives when it fails with `error` (positive) */
#define CALLS(X)                                                                                   \
	X(int, eventfd, (unsigned a, int b), (a, b), call_errno(error))                            \
	X(int, pipe2, (int *a, int b), (a, b), call_errno(error))                                  \
	X(int, poll, (struct pollfd * a, nfds_t b, int c), (a, b, c), call_errno(error))           \
	X(int, fstat, (int a, struct stat *b), (a, b), call_errno(error))                          \
	X(int, fsync, (int a), (a), call_errno(error))                                             \
	X(int, fchmod, (int a, mode_t b), (a, b), call_errno(error))                               \
	X(int, fchown, (int a, uid_t b, gid_t c), (a, b, c), call_errno(error))                    \
	X(int, chmod, (const char *a, mode_t b), (a, b), call_errno(error))                        \
	X(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d),               \
		call_errno(error))                                                                 \
	X(int, linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e),       \
		call_errno(error))                                                                 \
	X(int, unlinkat, (int a, const char *b, int c), (a, b, c), call_errno(error))              \
	X(ssize_t, getrandom, (void *a, size_t b, unsigned c), (a, b, c), call_errno(error))       \
	X(ssize_t, preadv2, (int a, const struct iovec *b, int c, off_t d, int e),                 \
		(a, b, c, d, e), call_errno(error))                                                \
	X(ssize_t, pwritev2, (int a, const struct iovec *b, int c, off_t d, int e),                \
		(a, b, c, d, e), call_errno(error))                                                \
	X(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e),          \
		call_errno(error))                                                                 \
	X(DIR *, fdopendir, (int a), (a), call_null(error))                                        \
	X(struct dirent *, readdir, (DIR * a), (a), call_null(error))                              \
	X(int, madvise, (void *a, size_t b, int c), (a, b, c), call_errno(error))                  \
	X(int, mprotect, (void *a, size_t b, int c), (a, b, c), call_errno(error))                 \
	X(void *, mmap, (void *a, size_t b, int c, int d, int e, off_t f), (a, b, c, d, e, f),     \
		(void *)(intptr_t)call_errno(error))                                               \
	X(int, sigaction, (int a, const struct sigaction *b, struct sigaction *c), (a, b, c),      \
		call_errno(error))                                                                 \
	X(int, pthread_create,                                                                     \
		(pthread_t * a, const pthread_attr_t *b, void *(*c)(void *), void *d),             \
		(a, b, c, d), error)                                                               \
	X(int, getaddrinfo,                                                                        \
		(const char *a, const char *b, const struct addrinfo *c, struct addrinfo **d),     \
		(a, b, c, d), call_lookup(error))                                                  \
	X(int, getnameinfo,                                                                        \
		(const struct sockaddr *a, socklen_t b, char *c, socklen_t d, char *e,             \
			socklen_t f, int g),                                                       \
		(a, b, c, d, e, f, g), call_lookup(error))                                         \
	X(int, uv_loop_init, (uv_loop_t * a), (a), -error)                                         \
	X(int, uv_async_init, (uv_loop_t * a, uv_async_t * b, uv_async_cb c), (a, b, c), -error)   \
	X(int, uv_poll_init, (uv_loop_t * a, uv_poll_t * b, int c), (a, b, c), -error)

enum call {
#define X(result, name, parameters, arguments, failure) CALL_##name,
	CALLS(X)
#undef X
		CALL_COUNT
};

const char *call_name(enum call call);
/* The at-th (from 1) call from now on fails with error, a positive errno value (for lookups an EAI_
 * code, which is negative); 0: none does. Also counts from 0 again. */
void call_fail(enum call call, uint64_t at, int error);
uint64_t call_count(void); /* calls of it since call_fail */

#endif
