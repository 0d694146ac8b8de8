/*
 * What an S3 store answers, as XML: the list of a bucket, the list of unfinished uploads, the name of a new one, the end of
 * one, and errors, which come with 200 too. Fed piece by piece; bounded in bytes, depth and the length of every text;
 * a document type is refused, and with it every entity but XML's own five.
 */
#ifndef REMOTE_ANSWER_H
#define REMOTE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ANSWER_TEXT_MAX = 4096, /* bytes of one element's text */
	ANSWER_TOKEN_MAX =
		8 << 10, /* bytes of one tag: expat scans an unfinished one anew with every piece */
	ANSWER_DEPTH_MAX = 8,       /* elements within each other */
	ANSWER_SIZE_MAX = 16 << 20, /* bytes in all: a thousand entries are at most some 5 MiB */
	ANSWER_NAME_MAX = 40        /* bytes of an element's name that are told apart */
};

/* An object (upload empty), or an unfinished upload (size 0). */
struct answer_entry {
	char key[ANSWER_TEXT_MAX];
	char upload[ANSWER_TEXT_MAX];
	uint64_t size;
};

struct answer {
	/* The caller's: called for each entry, which may wait. Not 0: feeding ends with that. */
	int (*each)(void *arg, const struct answer_entry *entry);
	void *arg;

	bool is_error;                                          /* the document is an error */
	char code[64], message[256], region[64], endpoint[256]; /* of an error, what is there */
	char upload[ANSWER_TEXT_MAX];                           /* the name of a new upload */
	char etag[128]; /* of a finished one, with its quotes */
	bool truncated; /* of a list: there is more */

	struct answer_state *state;
};

/* Fills all but each and arg. -ENOMEM. library_load first. */
int answer_begin(struct answer *answer);
/* Takes some bytes. -EPROTO: not XML as it should be, or not within the bounds; what each returned; -ENOMEM. */
int answer_feed(struct answer *answer, const void *data, size_t len);
/* There are no more: -EPROTO when that is too early. Nothing at all is an empty answer. */
int answer_finish(struct answer *answer);
void answer_end(struct answer *answer);

#endif
