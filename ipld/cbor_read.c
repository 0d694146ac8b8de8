/*
 * The dag-cbor reader. It keeps one small frame for each open list or map, so it recurses nowhere
 * and its memory is fixed. A map's keys must rise strictly, which also finds repeated ones; so the
 * frame remembers where the last key was.
 */
#include <ipld/dag_cbor.h>
#include <ipld/utf8.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include <multiformats/cid.h>

enum major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

enum { TAG_CID = 42, SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22, SIMPLE_FLOAT64 = 27 };

void ipld_cbor_init(struct ipld_cbor_reader *reader, const void *data, size_t len)
{
	reader->data = data;
	reader->len = len;
	reader->at = 0;
	reader->any_order = false;
	reader->started = false;
	reader->depth = 0;
}

/* Reads an item's first byte and its argument, shortest form only. */
static int read_head(struct ipld_cbor_reader *r, enum major *major, unsigned *info, uint64_t *arg)
{
	if (r->at >= r->len)
		return -EBADMSG;
	*major = (enum major)(r->data[r->at] >> 5);
	*info = r->data[r->at] & 31;
	r->at++;
	*arg = *info;
	if (*info < 24)
		return 0;
	if (*info > 27)
		return -EBADMSG;
	size_t bytes = (size_t)1 << (*info - 24);
	if (r->len - r->at < bytes)
		return -EBADMSG;
	*arg = 0;
	for (size_t i = 0; i < bytes; i++)
		*arg = *arg << 8 | r->data[r->at++];
	if (*major == SIMPLE)
		return 0;
	uint64_t least = bytes == 1 ? 24 : (uint64_t)1 << (bytes * 4);
	return *arg < least ? -EBADMSG : 0;
}

static int take_bytes(struct ipld_cbor_reader *r, uint64_t len, struct ipld_token *token)
{
	if (len > r->len - r->at)
		return -EBADMSG;
	token->data = r->data + r->at;
	token->len = len;
	r->at += len;
	return 0;
}

static int read_text(struct ipld_cbor_reader *r, uint64_t len, struct ipld_token *token)
{
	if (take_bytes(r, len, token) < 0 || !ipld_utf8_valid(token->data, token->len))
		return -EBADMSG;
	return 0;
}

/* A link: tag 42 over a byte string that starts with 0, the identity multibase. */
static int read_link(struct ipld_cbor_reader *r, struct ipld_token *token)
{
	struct mf_cid cid;
	enum major major;
	unsigned info;
	uint64_t len;

	if (read_head(r, &major, &info, &len) < 0 || major != BYTES)
		return -EBADMSG;
	if (take_bytes(r, len, token) < 0 || token->len < 2 || token->data[0] != 0)
		return -EBADMSG;
	token->data++;
	token->len--;
	if (mf_cid_decode(&cid, token->data, token->len) != (ssize_t)token->len)
		return -EBADMSG;
	return 0;
}

static int read_simple(unsigned info, uint64_t arg, struct ipld_token *token)
{
	switch (info) {
	case SIMPLE_FALSE:
	case SIMPLE_TRUE:
		token->kind = IPLD_BOOL;
		token->boolean = info == SIMPLE_TRUE;
		return 0;
	case SIMPLE_NULL: token->kind = IPLD_NULL; return 0;
	case SIMPLE_FLOAT64:
		token->kind = IPLD_FLOAT;
		memcpy(&token->real, &arg, sizeof(token->real));
		return isfinite(token->real) ? 0 : -EBADMSG;
	default: return -EBADMSG;
	}
}

static int open_frame(struct ipld_cbor_reader *r, bool is_map, uint64_t count)
{
	size_t rest = r->len - r->at;

	if (count > (is_map ? rest / 2 : rest))
		return -EBADMSG;
	if (r->depth == IPLD_DEPTH_MAX)
		return -EMSGSIZE;
	r->frames[r->depth++] = (struct ipld_cbor_frame){
		.left = (uint32_t)(is_map ? count * 2 : count),
		.is_map = is_map,
	};
	return 0;
}

static int read_value(struct ipld_cbor_reader *r, struct ipld_token *token)
{
	enum major major;
	unsigned info;
	uint64_t arg;

	if (read_head(r, &major, &info, &arg) < 0)
		return -EBADMSG;
	switch (major) {
	case UNSIGNED:
	case NEGATIVE:
		token->kind = IPLD_INT;
		token->negative = major == NEGATIVE;
		token->magnitude = arg;
		return 0;
	case BYTES: token->kind = IPLD_BYTES; return take_bytes(r, arg, token);
	case TEXT: token->kind = IPLD_STRING; return read_text(r, arg, token);
	case ARRAY: token->kind = IPLD_LIST; return open_frame(r, false, arg);
	case MAP: token->kind = IPLD_MAP; return open_frame(r, true, arg);
	case TAG: token->kind = IPLD_LINK; return arg == TAG_CID ? read_link(r, token) : -EBADMSG;
	case SIMPLE:
	default: return read_simple(info, arg, token);
	}
}

/* Whether the key rises above the map's last one: by length, then by bytes. */
static bool key_rises(const struct ipld_cbor_reader *r, const struct ipld_cbor_frame *frame,
	const struct ipld_token *key)
{
	if (key->len != frame->key_len)
		return key->len > frame->key_len;
	return memcmp(key->data, r->data + frame->key_at, key->len) > 0;
}

static int read_key(
	struct ipld_cbor_reader *r, struct ipld_cbor_frame *frame, struct ipld_token *token)
{
	enum major major;
	unsigned info;
	uint64_t len;

	if (read_head(r, &major, &info, &len) < 0 || major != TEXT || len > INT32_MAX)
		return -EBADMSG;
	token->kind = IPLD_KEY;
	if (read_text(r, len, token) < 0)
		return -EBADMSG;
	if (frame->key_at && !r->any_order && !key_rises(r, frame, token))
		return -EBADMSG;
	frame->key_at = (uint32_t)(token->data - r->data);
	frame->key_len = (uint32_t)token->len;
	return 0;
}

int ipld_cbor_next(struct ipld_cbor_reader *r, struct ipld_token *token)
{
	if (r->len > UINT32_MAX)
		return -EMSGSIZE;
	if (!r->depth) {
		if (r->started)
			return r->at == r->len ? 0 : -EBADMSG;
		r->started = true;
		int rc = read_value(r, token);
		return rc < 0 ? rc : 1;
	}
	struct ipld_cbor_frame *frame = &r->frames[r->depth - 1];
	if (!frame->left) {
		r->depth--;
		token->kind = IPLD_END;
		return 1;
	}
	frame->left--;
	bool key = frame->is_map && frame->left % 2;
	int rc = key ? read_key(r, frame, token) : read_value(r, token);
	return rc < 0 ? rc : 1;
}
