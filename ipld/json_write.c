/*
 * Canonical dag-json: no white space, keys in order of their bytes, floats as ECMAScript prints
 * them but always with a point or an exponent, so that they stay floats.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <float.h>

#include <multiformats/cid.h>

#include "doc.h"

static void put_chars(struct mf_pb_writer *out, const char *text)
{
	mf_pb_put_raw(out, text, strlen(text));
}

static void put_escape(struct mf_pb_writer *out, uint8_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *found = c ? strchr(from, c) : NULL;
	char text[8];

	if (found)
		snprintf(text, sizeof(text), "\\%c", to[found - from]);
	else
		snprintf(text, sizeof(text), "\\u%04x", c);
	put_chars(out, text);
}

static void put_string(struct mf_pb_writer *out, const uint8_t *text, size_t len)
{
	size_t plain = 0; /* start of the run that needs no escape */

	put_chars(out, "\"");
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= 0x20 && text[i] != '"' && text[i] != '\\')
			continue;
		mf_pb_put_raw(out, text + plain, i - plain);
		put_escape(out, text[i]);
		plain = i + 1;
	}
	if (len > plain)
		mf_pb_put_raw(out, text + plain, len - plain);
	put_chars(out, "\"");
}

/* The fewest digits that read back as the same number, without trailing zeros. Returns how many;
 * *exponent is that of the first digit. real is positive. */
static int shortest_digits(double real, char digits[18], int *exponent)
{
	char text[32];
	int n = 0;

	for (int places = real < DBL_MIN ? 0 : 14; places <= 16; places++) {
		snprintf(text, sizeof(text), "%.*e", places, real);
		if (strtod(text, NULL) == real)
			break;
	}
	char *e = strchr(text, 'e');
	*exponent = atoi(e + 1);
	for (char *p = text; p < e; p++) {
		if (*p >= '0' && *p <= '9') /* whatever the locale's decimal point is */
			digits[n++] = *p;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return n;
}

static void put_float(struct mf_pb_writer *out, double real)
{
	static const char zeros[] = "000000000000000000000";
	char digits[18], exponent_text[8];
	int exponent = 0, n = 1;

	if (signbit(real))
		put_chars(out, "-");
	digits[0] = '0';
	if (real != 0)
		n = shortest_digits(fabs(real), digits, &exponent);
	size_t count = (size_t)n;
	if (exponent >= 21 || exponent < -6) {
		mf_pb_put_raw(out, digits, 1);
		if (count > 1)
			put_chars(out, ".");
		mf_pb_put_raw(out, digits + 1, count - 1);
		snprintf(exponent_text, sizeof(exponent_text), "e%+d", exponent);
		put_chars(out, exponent_text);
	} else if (exponent < 0) {
		put_chars(out, "0.");
		mf_pb_put_raw(out, zeros, (size_t)(-exponent - 1));
		mf_pb_put_raw(out, digits, count);
	} else if (exponent + 1 >= n) {
		mf_pb_put_raw(out, digits, count);
		mf_pb_put_raw(out, zeros, (size_t)(exponent + 1 - n));
		put_chars(out, ".0");
	} else {
		mf_pb_put_raw(out, digits, (size_t)exponent + 1);
		put_chars(out, ".");
		mf_pb_put_raw(out, digits + exponent + 1, count - (size_t)exponent - 1);
	}
}

static void put_int(struct mf_pb_writer *out, const struct ipld_node *node)
{
	unsigned __int128 value = (unsigned __int128)node->magnitude + node->flag;
	char text[24], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value);
	if (node->flag)
		*--p = '-';
	mf_pb_put_raw(out, p, (size_t)(text + sizeof(text) - p));
}

static void put_bytes(struct mf_pb_writer *out, const uint8_t *data, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char group[4];

	put_chars(out, "{\"/\":{\"bytes\":\"");
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)data[i] << 16;

		bits |= n > 1 ? (uint32_t)data[i + 1] << 8 : 0;
		bits |= n > 2 ? data[i + 2] : 0;
		for (int k = 0; k < 4; k++)
			group[k] = set[bits >> (18 - 6 * k) & 63];
		mf_pb_put_raw(out, group, n + 1);
	}
	put_chars(out, "\"}}");
}

static int put_link(struct mf_pb_writer *out, const uint8_t *data, size_t len)
{
	char text[MF_CID_TEXT_MAX];
	struct mf_cid cid;

	if (mf_cid_decode(&cid, data, len) < 0 || mf_cid_format(&cid, text, sizeof(text)) < 0)
		return -EBADMSG;
	put_chars(out, "{\"/\":\"");
	put_chars(out, text);
	put_chars(out, "\"}");
	return 0;
}

static int put_node(struct mf_pb_writer *out, const struct ipld_doc *doc, ipld_ref ref)
{
	const struct ipld_node *node = &doc->nodes[ref];

	switch ((enum ipld_kind)node->kind) {
	case IPLD_NULL: put_chars(out, "null"); break;
	case IPLD_BOOL: put_chars(out, node->flag ? "true" : "false"); break;
	case IPLD_INT: put_int(out, node); break;
	case IPLD_FLOAT: put_float(out, node->real); break;
	case IPLD_STRING: put_string(out, node->data, node->len); break;
	case IPLD_KEY:
		put_string(out, node->data, node->len);
		put_chars(out, ":");
		break;
	case IPLD_BYTES: put_bytes(out, node->data, node->len); break;
	case IPLD_LINK: return put_link(out, node->data, node->len);
	case IPLD_LIST: put_chars(out, "["); break;
	case IPLD_MAP:
		if (doc_is_reserved(doc, ref))
			return -EBADMSG;
		put_chars(out, "{");
		break;
	case IPLD_END: break;
	}
	return 0;
}

/* A comma goes before every child but the first; a value follows its key without one. */
static bool needs_comma(const struct doc_walk *walk)
{
	const struct ipld_node *nodes = walk->doc->nodes;

	if (walk->first || !walk->depth)
		return false;
	bool in_list = nodes[walk->open[walk->depth - 1]].kind == IPLD_LIST;
	return in_list || nodes[walk->at].kind == IPLD_KEY;
}

int doc_encode_json(const struct ipld_doc *doc, struct mf_pb_writer *out)
{
	struct doc_walk walk = { .doc = doc };
	int rc = 0;

	while (rc == 0 && doc_walk_next(&walk)) {
		if (walk.closing) {
			put_chars(out, doc->nodes[walk.at].kind == IPLD_MAP ? "}" : "]");
			continue;
		}
		if (needs_comma(&walk))
			put_chars(out, ",");
		rc = put_node(out, doc, walk.at);
	}
	return rc;
}
