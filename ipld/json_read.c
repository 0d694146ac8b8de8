/*
 * The dag-json reader: a tokenizer over JSON text that folds the two reserved forms of the "/" key
 * into links and bytes. One bit for each open list or map says which it is; nothing recurses.
 */
#include <ipld/dag_json.h>
#include <ipld/utf8.h>

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/cid.h>

enum expect { EXPECT_VALUE, EXPECT_FIRST, EXPECT_NEXT };

enum { FLOAT_TEXT_MAX = 1100 }; /* an exact decimal double has at most 1077 significant places */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

void ipld_json_init(struct ipld_json_reader *reader, const void *data, size_t len, void *scratch,
	size_t scratch_cap)
{
	reader->at = data;
	reader->end = reader->at + len;
	reader->scratch = scratch;
	reader->scratch_left = scratch_cap;
	reader->depth = 0;
	reader->expect = EXPECT_VALUE;
}

static void skip_space(struct ipld_json_reader *r)
{
	while (r->at < r->end &&
		(*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
}

/* The next character after white space, or -1 at the end of the text. */
static int peek(struct ipld_json_reader *r)
{
	skip_space(r);
	return r->at < r->end ? *r->at : -1;
}

static bool take(struct ipld_json_reader *r, int c)
{
	if (peek(r) != c)
		return false;
	r->at++;
	return true;
}

static bool in_map(const struct ipld_json_reader *r)
{
	unsigned i = r->depth - 1;

	return r->maps[i / 8] >> (i % 8) & 1;
}

static int hex4(const uint8_t *p, const uint8_t *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = p[i] | 0x20;

		if (p[i] >= '0' && p[i] <= '9')
			value = value << 4 | (p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (c - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* Reads the code point of \uXXXX, surrogate pairs joined; *p stands after the first 'u'. */
static long unicode_escape(const uint8_t **p, const uint8_t *end)
{
	long high = hex4(*p, end), low;

	if (high < 0)
		return -1;
	*p += 4;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return -1;
	low = hex4(*p + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*p += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(uint8_t *out, long c)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* Undoes the escapes of the raw text into scratch; every escape is longer than what it stands for,
 * so room for the raw text is enough. */
static int unescape(
	struct ipld_json_reader *r, const uint8_t *p, const uint8_t *end, struct ipld_token *token)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint8_t *out = r->scratch;

	if ((size_t)(end - p) > r->scratch_left)
		return -EMSGSIZE;
	while (p < end) {
		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		p++;
		if (*p == 'u') {
			p++;
			long c = unicode_escape(&p, end);

			if (c < 0)
				return -EBADMSG;
			out += put_utf8(out, c);
			continue;
		}
		const char *found = *p ? strchr(from, *p) : NULL;
		if (!found)
			return -EBADMSG;
		*out++ = (uint8_t)to[found - from];
		p++;
	}
	token->data = r->scratch;
	token->len = (size_t)(out - r->scratch);
	r->scratch += token->len;
	r->scratch_left -= token->len;
	return 0;
}

/* Reads a string into token->data; the quote is still to come. */
static int read_string(struct ipld_json_reader *r, struct ipld_token *token)
{
	bool escaped = false;

	if (!take(r, '"'))
		return -EBADMSG;
	const uint8_t *start = r->at;
	while (r->at < r->end && *r->at != '"') {
		if (*r->at < 0x20)
			return -EBADMSG;
		if (*r->at == '\\') {
			escaped = true;
			if (++r->at == r->end)
				return -EBADMSG;
		}
		r->at++;
	}
	if (r->at == r->end)
		return -EBADMSG;
	const uint8_t *end = r->at++;
	token->data = start;
	token->len = (size_t)(end - start);
	if (!ipld_utf8_valid(token->data, token->len))
		return -EBADMSG;
	return escaped ? unescape(r, start, end, token) : 0;
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Turns the base64 text in token into its bytes; padding is optional. */
static int decode_base64(struct ipld_json_reader *r, struct ipld_token *token)
{
	size_t len = token->len, n = 0;
	uint32_t bits = 0;

	if (len % 4 == 0)
		for (int i = 0; i < 2 && len && token->data[len - 1] == '='; i++)
			len--;
	if (len % 4 == 1)
		return -EBADMSG;
	if (len / 4 * 3 + 2 > r->scratch_left)
		return -EMSGSIZE;
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(token->data[i]);

		if (value < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4)
			r->scratch[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	if (len % 4 && bits & (len % 4 == 2 ? 15 : 3))
		return -EBADMSG;
	token->kind = IPLD_BYTES;
	token->data = r->scratch;
	token->len = n;
	r->scratch += n;
	r->scratch_left -= n;
	return 0;
}

/* Turns the CID text in token into its binary form. */
static int decode_cid(struct ipld_json_reader *r, struct ipld_token *token)
{
	struct mf_cid cid;

	if (mf_cid_parse(&cid, (const char *)token->data, token->len) < 0)
		return -EBADMSG;
	ssize_t n = mf_cid_encode(&cid, r->scratch, r->scratch_left);
	if (n < 0)
		return -EMSGSIZE;
	token->kind = IPLD_LINK;
	token->data = r->scratch;
	token->len = (size_t)n;
	r->scratch += n;
	r->scratch_left -= (size_t)n;
	return 0;
}

static bool text_is(const struct ipld_token *token, const char *text)
{
	return token->len == strlen(text) && !memcmp(token->data, text, token->len);
}

/* After "{": folds a link or bytes. Returns 1 when it did, 0 (nothing consumed) when this is some
 * other map. */
static int read_reserved(struct ipld_json_reader *r, struct ipld_token *token)
{
	struct ipld_json_reader ahead = *r;
	int rc;

	if (peek(&ahead) != '"')
		return 0;
	if (read_string(&ahead, token) < 0 || !text_is(token, "/") || !take(&ahead, ':'))
		return 0;
	if (peek(&ahead) == '"') {
		if (read_string(&ahead, token) < 0 || !take(&ahead, '}'))
			return 0;
		rc = decode_cid(&ahead, token);
	} else {
		if (!take(&ahead, '{') || read_string(&ahead, token) < 0 ||
			!text_is(token, "bytes") || !take(&ahead, ':') ||
			read_string(&ahead, token) < 0 || !take(&ahead, '}') || !take(&ahead, '}'))
			return 0;
		rc = decode_base64(&ahead, token);
	}
	if (rc < 0)
		return rc;
	*r = ahead;
	return 1;
}

static size_t digits(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *start = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return (size_t)(p - start);
}

/* The length of the number at p by JSON's grammar, 0 when there is none; says if it is a float. */
static size_t number_length(const uint8_t *p, const uint8_t *end, bool *is_float)
{
	const uint8_t *start = p;

	*is_float = false;
	if (p < end && *p == '-')
		p++;
	size_t n = digits(p, end);
	if (!n || (*p == '0' && n > 1))
		return 0;
	p += n;
	if (p < end && *p == '.') {
		*is_float = true;
		n = digits(++p, end);
		if (!n)
			return 0;
		p += n;
	}
	if (p < end && (*p | 0x20) == 'e') {
		*is_float = true;
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		n = digits(p, end);
		if (!n)
			return 0;
		p += n;
	}
	return (size_t)(p - start);
}

static int read_float(const uint8_t *p, size_t len, struct ipld_token *token)
{
	char text[FLOAT_TEXT_MAX + 1];

	if (len > FLOAT_TEXT_MAX)
		return -EBADMSG;
	memcpy(text, p, len);
	text[len] = 0;
	pthread_once(&c_locale_once, make_c_locale);
	token->kind = IPLD_FLOAT;
	token->real = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
	return isfinite(token->real) ? 0 : -EBADMSG;
}

static int read_number(struct ipld_json_reader *r, struct ipld_token *token)
{
	unsigned __int128 value = 0;
	bool is_float;
	size_t len = number_length(r->at, r->end, &is_float);
	const uint8_t *p = r->at;

	if (!len)
		return -EBADMSG;
	r->at += len;
	if (is_float)
		return read_float(p, len, token);
	bool negative = *p == '-';
	for (size_t i = negative; i < len; i++) {
		value = value * 10 + (unsigned)(p[i] - '0');
		if (value > (unsigned __int128)UINT64_MAX + negative)
			return -EBADMSG;
	}
	token->kind = IPLD_INT;
	token->negative = negative && value;
	token->magnitude = (uint64_t)(token->negative ? value - 1 : value);
	return 0;
}

static int read_word(struct ipld_json_reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return -EBADMSG;
	r->at += len;
	return 0;
}

static int open_collection(struct ipld_json_reader *r, bool is_map, struct ipld_token *token)
{
	unsigned i = r->depth;

	if (i == IPLD_DEPTH_MAX)
		return -EMSGSIZE;
	r->maps[i / 8] = (uint8_t)((r->maps[i / 8] & ~(1 << i % 8)) | is_map << i % 8);
	r->depth++;
	r->expect = EXPECT_FIRST;
	token->kind = is_map ? IPLD_MAP : IPLD_LIST;
	return 0;
}

static int read_map(struct ipld_json_reader *r, struct ipld_token *token)
{
	int rc;

	r->at++;
	rc = read_reserved(r, token);
	return rc ? rc : open_collection(r, true, token);
}

static int read_value(struct ipld_json_reader *r, struct ipld_token *token)
{
	r->expect = EXPECT_NEXT;
	switch (peek(r)) {
	case '{': return read_map(r, token);
	case '[': r->at++; return open_collection(r, false, token);
	case '"': token->kind = IPLD_STRING; return read_string(r, token);
	case 't':
	case 'f':
		token->kind = IPLD_BOOL;
		token->boolean = *r->at == 't';
		return read_word(r, token->boolean ? "true" : "false");
	case 'n': token->kind = IPLD_NULL; return read_word(r, "null");
	default: return read_number(r, token);
	}
}

static int read_key(struct ipld_json_reader *r, struct ipld_token *token)
{
	int rc = read_string(r, token);

	if (rc < 0)
		return rc;
	token->kind = IPLD_KEY;
	r->expect = EXPECT_VALUE;
	return take(r, ':') ? 0 : -EBADMSG;
}

int ipld_json_next(struct ipld_json_reader *r, struct ipld_token *token)
{
	int rc;

	if (r->expect == EXPECT_NEXT && !r->depth)
		return peek(r) < 0 ? 0 : -EBADMSG;
	if (r->expect != EXPECT_VALUE) {
		if (take(r, in_map(r) ? '}' : ']')) {
			r->depth--;
			r->expect = EXPECT_NEXT;
			token->kind = IPLD_END;
			return 1;
		}
		if (r->expect == EXPECT_NEXT && !take(r, ','))
			return -EBADMSG;
		rc = in_map(r) ? read_key(r, token) : read_value(r, token);
	} else {
		rc = read_value(r, token);
	}
	return rc < 0 ? rc : 1;
}
