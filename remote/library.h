/*
 * libcurl and expat, loaded when the first request is made: the functions that we call, as a table.
 */
#ifndef REMOTE_LIBRARY_H
#define REMOTE_LIBRARY_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <expat.h>
#include <remote/why.h>

/* X(library's symbol, our name) */
#define CURL_FUNCTIONS(X)                                                                          \
	X(curl_global_init, global_init)                                                           \
	X(curl_easy_init, easy_init)                                                               \
	X(curl_easy_setopt, easy_setopt)                                                           \
	X(curl_easy_getinfo, easy_getinfo)                                                         \
	X(curl_easy_pause, easy_pause)                                                             \
	X(curl_easy_strerror, easy_strerror)                                                       \
	X(curl_easy_cleanup, easy_cleanup)                                                         \
	X(curl_multi_init, multi_init)                                                             \
	X(curl_multi_setopt, multi_setopt)                                                         \
	X(curl_multi_add_handle, multi_add_handle)                                                 \
	X(curl_multi_remove_handle, multi_remove_handle)                                           \
	X(curl_multi_socket_action, multi_socket_action)                                           \
	X(curl_multi_info_read, multi_info_read)                                                   \
	X(curl_multi_assign, multi_assign)                                                         \
	X(curl_multi_cleanup, multi_cleanup)                                                       \
	X(curl_slist_append, slist_append)                                                         \
	X(curl_slist_free_all, slist_free_all)
#define EXPAT_FUNCTIONS(X)                                                                         \
	X(XML_ParserCreate_MM, create)                                                             \
	X(XML_ParserFree, free)                                                                    \
	X(XML_SetUserData, set_user_data)                                                          \
	X(XML_SetElementHandler, set_elements)                                                     \
	X(XML_SetCharacterDataHandler, set_characters)                                             \
	X(XML_SetStartDoctypeDeclHandler, set_doctype)                                             \
	X(XML_StopParser, stop)                                                                    \
	X(XML_Parse, parse)

/* The macros that libcurl's header lays over some of them. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define X(symbol, name) __typeof__(symbol) *name;
extern struct curl_functions {
	CURL_FUNCTIONS(X)
} curl;
extern struct expat_functions {
	EXPAT_FUNCTIONS(X)
} expat;
#undef X

/* Loads both and initialises libcurl, once a process. Blocks some 20 ms the first time; any thread. -ENOPKG. */
int library_load(struct remote_why *why);

#endif
