/* A config file of any bytes is refused with a sentence or read; setting a value keeps every other line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kit/kit.h>

#include "kit/node.h"

static char dir[64];

static void leave(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/config", dir);
	unlink(path);
	rmdir(dir);
}

static void write_config(const uint8_t *data, size_t size)
{
	char path[96];

	if (!*dir) {
		strcpy(dir, "/tmp/fuzz-config-XXXXXX");
		if (!mkdtemp(dir))
			abort();
		atexit(leave);
	}
	snprintf(path, sizeof(path), "%s/config", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kit_config *config = NULL;
	char error[256] = "", *value = NULL;

	if (size > 64 << 10)
		return 0;
	write_config(data, size);
	int rc = kit_config_load(dir, &config, error, sizeof(error));
	if ((rc == 0) != (config != NULL) || (rc && !*error))
		abort();
	if (rc == 0 &&
		(!kit_config_value(config, "store.max") || kit_config_value(config, "no.such")))
		abort();
	kit_config_free(config);

	int set = kit_config_set(dir, "store.max", "12345", error, sizeof(error));
	if (rc == 0 && set)
		abort();
	if (rc == 0 && (kit_config_get(dir, "store.max", &value) || strcmp(value, "12345")))
		abort();
	free(value);
	return 0;
}
