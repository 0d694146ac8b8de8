#include "multipart.h"
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The value of a parameter (boundary=, filename=, name=) in a header; quoted or not. A backslash that no
 * escape can need is one: some clients send the path of a file as it is. */
static bool parameter(const char *header, const char *name, char *out, size_t cap)
{
	size_t len = strlen(name), n = 0;

	for (const char *at = header; (at = strchr(at, ';'));) {
		at++;
		while (*at == ' ' || *at == '\t')
			at++;
		if (strncasecmp(at, name, len) || at[len] != '=')
			continue;
		at += len + 1;
		bool quoted = *at == '"';
		if (quoted)
			at++;
		for (; *at && (quoted ? *at != '"' : *at != ';' && *at != ' '); at++) {
			if (quoted && *at == '\\' && at[1] && strchr("()<>@,;:\\\"/[]?=", at[1]))
				at++;
			if (n + 1 == cap)
				return false;
			out[n++] = *at;
		}
		out[n] = 0;
		return true;
	}
	return false;
}

int multipart_open(struct multipart *m, const char *content_type,
	ssize_t (*read)(void *arg, void *buffer, size_t size), void *arg)
{
	char boundary[71];

	*m = (struct multipart){ .read = read, .arg = arg, .first = true };
	if (strncasecmp(content_type, "multipart/", 10) ||
		!parameter(content_type, "boundary", boundary, sizeof(boundary)) || !*boundary)
		return -EINVAL;
	m->boundary_len = (size_t)snprintf(m->boundary, sizeof(m->boundary), "\r\n--%s", boundary);
	m->buffer = anyio_malloc(MULTIPART_BUFFER);
	if (!m->buffer)
		return -ENOMEM;
	/* The first boundary has no line end before it; lend it one. */
	memcpy(m->buffer, "\r\n", 2);
	m->end = 2;
	m->in_part = true;
	return 0;
}

void multipart_close(struct multipart *m)
{
	anyio_free(m->buffer);
	m->buffer = NULL;
}

/* Moves what is left to the front and reads more: 0 at the end of input. */
static ssize_t refill(struct multipart *m)
{
	memmove(m->buffer, m->buffer + m->start, m->end - m->start);
	m->end -= m->start;
	m->start = 0;
	if (m->end == MULTIPART_BUFFER)
		return -EPROTO;
	ssize_t n = m->read(m->arg, m->buffer + m->end, MULTIPART_BUFFER - m->end);
	if (n > 0)
		m->end += (size_t)n;
	return n;
}

/* Bytes of the part that are in the buffer for certain: up to the boundary, or to where one could
 * begin. *found says that the boundary follows them. */
static size_t certain(const struct multipart *m, bool *found)
{
	const char *data = m->buffer + m->start;
	size_t len = m->end - m->start;
	const char *at = memmem(data, len, m->boundary, m->boundary_len);

	*found = at != NULL;
	if (at)
		return (size_t)(at - data);
	return len >= m->boundary_len ? len - m->boundary_len + 1 : 0;
}

ssize_t multipart_read(void *multipart, void *buffer, size_t size)
{
	struct multipart *m = multipart;

	while (m->in_part) {
		bool found;
		size_t n = certain(m, &found);
		if (n > 0) {
			n = n < size ? n : size;
			memcpy(buffer, m->buffer + m->start, n);
			m->start += n;
			return (ssize_t)n;
		}
		if (found) {
			m->start += m->boundary_len;
			m->in_part = false;
			return 0;
		}
		ssize_t got = refill(m);
		if (got <= 0)
			return got < 0 ? got : -EPROTO;
	}
	return 0;
}

/* One line of a part's head, without its end; NULL with *rc on failure. */
static char *line(struct multipart *m, int *rc)
{
	for (;;) {
		char *start = m->buffer + m->start;
		char *end = memmem(start, m->end - m->start, "\r\n", 2);
		*rc = -EPROTO;
		if (end) {
			if (memchr(start, 0, (size_t)(end - start)))
				return NULL;
			*end = 0;
			m->start += (size_t)(end - start) + 2;
			return start;
		}
		if (m->end - m->start > MULTIPART_HEAD_MAX)
			return NULL;
		ssize_t got = refill(m);
		if (got <= 0) {
			*rc = got < 0 ? (int)got : -EPROTO;
			return NULL;
		}
	}
}

/* Go's client escapes names as a query is, a space as +; Kubo reads all names so, and takes one that is
 * not escaped that way as it stands. */
static int read_name(char *name)
{
	return !http_is_escaped(name) || http_unescape(name, true) ? 0 : -EPROTO;
}

static int head_line(struct multipart *m, const char *text)
{
	if (!strncasecmp(text, "Content-Type:", 13)) {
		text += 13 + strspn(text + 13, " \t");
		size_t len = strcspn(text, "; \t");
		snprintf(m->type, sizeof(m->type), "%.*s", (int)len, text);
		for (char *c = m->type; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
	} else if (!strncasecmp(text, "Content-Disposition:", 20)) {
		parameter(text, "name", m->name, sizeof(m->name));
		if (strstr(text, "filename=") &&
			!parameter(text, "filename", m->filename, sizeof(m->filename)))
			return -EPROTO;
		return read_name(m->filename);
	}
	return 0;
}

int multipart_next(struct multipart *m)
{
	char skipped[4096];
	size_t head = 0;
	ssize_t n;
	int rc = 0;
	char *text;

	while ((n = multipart_read(m, skipped, sizeof(skipped))) > 0)
		if (m->first)
			return -EPROTO; /* a preamble: no client sends one */
	if (n < 0)
		return (int)n;
	m->first = false;
	if (m->ended)
		return 0;
	/* After a boundary: the end of the line, or "--" for the last one. */
	while (m->end - m->start < 2)
		if ((n = refill(m)) <= 0)
			return n < 0 ? (int)n : -EPROTO;
	if (!memcmp(m->buffer + m->start, "--", 2)) {
		m->ended = true;
		return 0;
	}
	if (!(text = line(m, &rc)) || *text)
		return rc ? rc : -EPROTO;
	m->type[0] = m->filename[0] = m->name[0] = 0;
	while ((text = line(m, &rc)) && *text) {
		head += strlen(text) + 2;
		if (head > MULTIPART_HEAD_MAX)
			return -EPROTO;
		if ((rc = head_line(m, text)))
			return rc;
	}
	if (!text)
		return rc;
	m->in_part = true;
	return 1;
}
