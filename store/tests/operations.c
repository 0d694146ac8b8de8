/* What the tests of the operation log share. */
#include "operations.h"

const char *ops_path(unsigned generation)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/ops/%08u.log", test_repo, generation);
	return path;
}

int ops_set(struct store *store, int key, int value, bool sync)
{
	store_ticket ticket = 0;

	CHECK_RC(0,
		store_state_put(store, STORE_SPACE_ABOVE, &key, sizeof(key), &value, sizeof(value),
			&ticket));
	return sync ? store_sync(store, ticket) : 0;
}

/* The value of a key, or -1: none. */
int ops_get(struct store *store, int key)
{
	int value;
	ssize_t rc = store_state_get(
		store, STORE_SPACE_ABOVE, &key, sizeof(key), &value, sizeof(value), NULL);

	return rc == sizeof(value) ? value : rc == -ENOENT ? -1 : -2;
}

int take_index(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s/index", test_repo);
	return system(command);
}
