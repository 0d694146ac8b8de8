/* Values by number in the operation log of the running test, and its file. */
#ifndef STORE_TESTS_OPERATIONS_H
#define STORE_TESTS_OPERATIONS_H

#include "support.h"

/* Valid until the next call. */
const char *ops_path(unsigned generation);
int ops_set(struct store *store, int key, int value, bool sync);
/* The value of a key, or -1: none. */
int ops_get(struct store *store, int key);
/* Throws the index away, of a store that is closed. */
int take_index(void);

#endif
