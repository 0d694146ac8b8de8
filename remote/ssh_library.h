/*
 * libssh2, loaded when the first connection is made: the functions that we call, as a table.
 */
#ifndef REMOTE_SSH_LIBRARY_H
#define REMOTE_SSH_LIBRARY_H

#include <libssh2.h>
#include <remote/why.h>

/* X(our name), which is the library's without its libssh2_ */
#define SSH2_FUNCTIONS(X)                                                                          \
	X(init)                                                                                    \
	X(session_init_ex)                                                                         \
	X(session_free)                                                                            \
	X(session_callback_set)                                                                    \
	X(session_set_blocking)                                                                    \
	X(session_method_pref)                                                                     \
	X(session_handshake)                                                                       \
	X(session_block_directions)                                                                \
	X(session_hostkey)                                                                         \
	X(session_last_error)                                                                      \
	X(session_last_errno)                                                                      \
	X(hostkey_hash)                                                                            \
	X(knownhost_init)                                                                          \
	X(knownhost_readline)                                                                      \
	X(knownhost_checkp)                                                                        \
	X(knownhost_free)                                                                          \
	X(userauth_password_ex)                                                                    \
	X(userauth_publickey_frommemory)                                                           \
	X(channel_open_ex)                                                                         \
	X(channel_process_startup)                                                                 \
	X(channel_handle_extended_data2)                                                           \
	X(channel_read_ex)                                                                         \
	X(channel_write_ex)

#define X(name) __typeof__(libssh2_##name) *name;
extern struct ssh2_functions {
	SSH2_FUNCTIONS(X)
} ssh2;
#undef X

/* Loads and initialises it, once a process. Blocks the first time; any thread. -ENOPKG. */
int ssh_library_load(struct remote_why *why);

#endif
