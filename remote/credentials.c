#include "credentials.h"

#include <anyio/error.h>
#include <anyio/plain.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "why.h"

enum { FILE_MAX = 16 << 10 };

void remote_credentials_wipe(struct remote_credentials *credentials)
{
	explicit_bzero(credentials, sizeof(*credentials));
}

/* A password is any text; other values go into a header. */
static bool may_hold(char c, bool password)
{
	return password ? (unsigned char)c >= ' ' && c != 0x7f : c > ' ' && c <= '~';
}

/* Takes a value; the reason names it and never shows it. */
static int take(char *out, size_t cap, const char *name, const char *value, size_t len,
	bool password, struct remote_why *why)
{
	if (len >= cap)
		return explain(why, -EINVAL, "copy it again from where it was given out",
			"%s is longer than any is", name);
	for (size_t i = 0; i < len; i++)
		if (!may_hold(value[i], password))
			return explain(why, -EINVAL, "copy it again from where it was given out",
				"%s holds a space or a character that cannot be part of it", name);
	memcpy(out, value, len);
	out[len] = '\0';
	return 0;
}

static int check_pair(struct remote_credentials *out, const char *where, struct remote_why *why)
{
	if (out->key[0] && out->secret[0])
		return 0;
	if (out->password[0] && !out->key[0] && !out->secret[0])
		return 0;
	if (out->key[0] || out->secret[0])
		return explain(why, -EINVAL, "set both, or neither", "%s has %s but no %s", where,
			out->key[0] ? "a key" : "a secret", out->key[0] ? "secret" : "key");
	return explain(why, -ENOENT,
		"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (S3) or SFTP_PASSWORD, or name a "
		"file of credentials",
		"%s has no credentials", where);
}

int remote_credentials_environment(struct remote_credentials *out, struct remote_why *why)
{
	const struct {
		const char *name;
		char *out;
		size_t cap;
		bool password;
	} all[] = { { "AWS_ACCESS_KEY_ID", out->key, sizeof(out->key) },
		{ "AWS_SECRET_ACCESS_KEY", out->secret, sizeof(out->secret) },
		{ "AWS_SESSION_TOKEN", out->session, sizeof(out->session) },
		{ "SFTP_PASSWORD", out->password, sizeof(out->password), true } };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; !rc && i < sizeof(all) / sizeof(*all); i++) {
		const char *value = getenv(all[i].name);

		if (value)
			rc = take(all[i].out, all[i].cap, all[i].name, value, strlen(value),
				all[i].password, why);
	}
	if (!rc)
		rc = check_pair(out, "the environment", why);
	if (rc)
		remote_credentials_wipe(out);
	return rc;
}

/* ---- the file ---- */

static size_t trim(const char **text, size_t len)
{
	while (len && strchr(" \t\r", **text))
		(*text)++, len--;
	while (len && strchr(" \t\r", (*text)[len - 1]))
		len--;
	return len;
}

static int is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(text, word, len);
}

static int take_line(struct remote_credentials *out, const char *line, size_t len, int number,
	struct remote_why *why)
{
	const char *equals = memchr(line, '=', len), *name = line, *value;
	size_t name_len, value_len;

	if (!equals)
		return explain(why, -EINVAL, "lines are NAME = VALUE",
			"line %d of the credentials is not understood", number);
	name_len = trim(&name, (size_t)(equals - line));
	value = equals + 1;
	value_len = trim(&value, len - (size_t)(value - line));
	if (is_word(name, name_len, "aws_access_key_id"))
		return take(out->key, sizeof(out->key), "the key", value, value_len, false, why);
	if (is_word(name, name_len, "aws_secret_access_key"))
		return take(out->secret, sizeof(out->secret), "the secret", value, value_len, false,
			why);
	if (is_word(name, name_len, "aws_session_token"))
		return take(out->session, sizeof(out->session), "the session token", value,
			value_len, false, why);
	if (is_word(name, name_len, "sftp_password"))
		return take(out->password, sizeof(out->password), "the password", value, value_len,
			true, why);
	return 0; /* other programs' settings */
}

static int parse(struct remote_credentials *out, const char *text, struct remote_why *why)
{
	int rc = 0, number = 1, ours = 1;

	for (size_t len; !rc && *text; text += len + (text[len] != '\0'), number++) {
		const char *line = text;
		size_t line_len;

		len = strcspn(text, "\n");
		line_len = trim(&line, len);
		if (line_len == 0 || *line == '#' || *line == ';')
			continue;
		if (*line == '[')
			ours = is_word(line, line_len, "[default]");
		else if (ours)
			rc = take_line(out, line, line_len, number, why);
	}
	return rc;
}

static int check_owner(int fd, const char *path, struct remote_why *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return explain(why, -errno, NULL, "%s cannot be looked at", path);
	if (st.st_uid != geteuid())
		return explain(why, -EPERM, "chown it to the user that runs this",
			"%s belongs to somebody else", path);
	if (st.st_mode & 077)
		return explain(why, -EPERM,
			"chmod 600 it, and replace the secret if others may have read it",
			"%s can be read or changed by others (mode %03o)", path, st.st_mode & 0777);
	return 0;
}

static int load(struct remote_credentials *out, int fd, const char *path, struct remote_why *why)
{
	char text[FILE_MAX + 1];
	ssize_t len = anyio_plain_read_blocking(fd, text, sizeof(text));
	int rc = 0;

	if (len < 0)
		rc = explain(why, (int)len, NULL, "%s cannot be read", path);
	else if (len > FILE_MAX || memchr(text, 0, (size_t)len))
		rc = explain(why, -EINVAL, NULL, "%s is not a file of credentials", path);
	if (!rc) {
		text[len] = '\0';
		rc = parse(out, text, why);
	}
	explicit_bzero(text, sizeof(text));
	return rc ? rc : check_pair(out, path, why);
}

int credentials_open(const char *path, struct remote_why *why)
{
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0), rc;

	if (fd < 0)
		return explain(
			why, fd, NULL, "%s cannot be opened: %s", path, anyio_error_text(fd));
	rc = check_owner(fd, path, why);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int remote_credentials_file(
	struct remote_credentials *out, const char *path, struct remote_why *why)
{
	int fd = credentials_open(path, why), rc;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return fd;
	rc = load(out, fd, path, why);
	close(fd);
	if (rc)
		remote_credentials_wipe(out);
	return rc;
}
