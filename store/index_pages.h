/*
 * The pages of LMDB's file, looked over without LMDB, which believes every byte of it and goes down
 * with the process on one that is wrong.
 */
#ifndef STORE_INDEX_PAGES_H
#define STORE_INDEX_PAGES_H

#include <stddef.h>
#include <stdint.h>

enum index_table { INDEX_BLOCKS, INDEX_STATE, INDEX_META, INDEX_TABLES };
extern const char *const index_table_names[INDEX_TABLES];

enum { INDEX_KEY_MAX = 511 }; /* LMDB's */

/* An entry; 0, or a code that ends the check. Those with the same argument come from one thread, in the order of their table. */
typedef int (*index_entry_fn)(void *arg, enum index_table table, const uint8_t *key, size_t key_len,
	const uint8_t *value, size_t len);

/* Reads every page in use of the file, its free list too, and hands over every entry: with the first argument, but for
 * the later blocks of a large table, which may come at the same time with the second. 0 when LMDB can be trusted with
 * the file; -EUCLEAN when not; -ENOMEM, -EIO, or what entry returned. Any bytes may be in it. Any thread; blocks. */
int index_pages_check(int fd, index_entry_fn entry, void *const args[2]);

/* Asks for the file to be read into memory, and does not wait for it. Any thread; blocks a little. */
void index_pages_fetch(int fd);

#endif
