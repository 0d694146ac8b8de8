#include "sftp_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-._~";

/* One part, and '+' when it is a folder's. Its length, or 0 when it does not fit. */
static size_t encode_part(const char *part, size_t len, bool folder, char out[SFTP_NAME_MAX + 4])
{
	size_t at = 0;

	for (size_t i = 0; i < len && at <= SFTP_NAME_MAX; i++)
		if (strchr(plain, part[i]) && !(i == 0 && part[i] == '.'))
			out[at++] = part[i];
		else
			at += (size_t)sprintf(out + at, "%%%02x", (unsigned char)part[i]);
	if (folder && at <= SFTP_NAME_MAX)
		out[at++] = '+';
	return at <= SFTP_NAME_MAX ? at : 0;
}

int sftp_name_encode(struct text *path, const char *key)
{
	char name[SFTP_NAME_MAX + 4];

	while (*key) {
		size_t part = strcspn(key, "/");
		bool folder = key[part] == '/';
		size_t len = encode_part(key, part, folder, name);

		if (len == 0)
			return -EINVAL;
		text_add(path, "%s%.*s", path->len ? "/" : "", (int)len, name);
		key += part + folder;
	}
	return path->rc;
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Whatever it says; whether it is what we write is seen by writing it. */
static bool decode_part(const char *name, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (name[i] != '%') {
			*out++ = name[i];
			continue;
		}
		if (len - i < 3 || (high = hex(name[i + 1])) < 0 || (low = hex(name[i + 2])) < 0)
			return false;
		*out++ = (char)(high << 4 | low);
		i += 2;
	}
	*out = '\0';
	return true;
}

static bool is_part(const char *part)
{
	for (const char *c = part; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '\\' || *c == '/')
			return false;
	return *part && strcmp(part, ".") != 0 && strcmp(part, "..") != 0;
}

bool sftp_name_decode(const void *bytes, size_t len, char *out)
{
	const char *name = bytes;
	char again[SFTP_NAME_MAX + 4];
	bool folder = len && name[len - 1] == '+';

	if (len == 0 || len > SFTP_NAME_MAX || memchr(name, 0, len) ||
		!decode_part(name, len - folder, out) || !is_part(out) ||
		encode_part(out, strlen(out), folder, again) != len ||
		memcmp(again, name, len) != 0)
		return false;
	if (folder)
		strcat(out, "/");
	return true;
}

size_t sftp_name_encode_flat(const char *key, char out[SFTP_NAME_MAX + 4])
{
	size_t len = encode_part(key, strlen(key), false, out);

	out[len] = '\0';
	return len;
}

bool sftp_name_decode_flat(const char *name, char *out)
{
	char again[SFTP_NAME_MAX + 4];
	size_t len = strlen(name);

	return len > 0 && len <= SFTP_NAME_MAX && decode_part(name, len, out) &&
		sftp_name_encode_flat(out, again) == len && memcmp(again, name, len) == 0;
}
