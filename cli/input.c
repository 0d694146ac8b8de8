/* What a command reads: a file that an argument names, or standard input. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 4 << 20 };

static ssize_t read_file(void *arg, void *buffer, size_t size)
{
	return anyio_read(((struct cli_input *)arg)->fd, buffer, size);
}

int cli_input_open(struct cli *cli, const char *path, struct cli_input *input)
{
	bool is_file = path && strcmp(path, "-");

	*input = (struct cli_input){ is_file ? path : "standard input", cli_stdin, -1 };
	if (!is_file)
		return 0;
	input->fd = anyio_open(path, O_RDONLY, 0);
	if (input->fd < 0)
		return cli_fail_file(cli, input->fd, path);
	input->source = (struct kit_source){ read_file, input };
	return 0;
}

void cli_input_close(struct cli_input *input)
{
	if (input->fd >= 0)
		anyio_close(input->fd);
	input->fd = -1;
}

int cli_input_read(struct cli_input *input, char **out, size_t *len)
{
	const struct kit_source *source = &input->source;
	size_t size = 0, used = 0;
	char *data = NULL;

	for (;;) {
		if (used == size) {
			size = size ? size * 2 : 64 << 10;
			char *bigger = size <= INPUT_MAX ? realloc(data, size) : NULL;
			if (!bigger) {
				free(data);
				return size > INPUT_MAX ? -EMSGSIZE : -ENOMEM;
			}
			data = bigger;
		}
		ssize_t n = source->read(source->arg, data + used, size - used);
		if (n < 0) {
			free(data);
			return (int)n;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*out = data;
	*len = used;
	return 0;
}
