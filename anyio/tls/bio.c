/* Ciphertext as OpenSSL sees it: a BIO that reads from one buffer and appends to another. */
#include <string.h>
#include "tls.h"

void tls_buffer_free(struct buffer *buffer)
{
	anyio_free(buffer->data);
	*buffer = (struct buffer){ .data = NULL };
}

bool tls_buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t size = buffer->size;
	uint8_t *data;

	if (more <= size - buffer->end)
		return true;
	/* A flight of the handshake comes in small pieces. */
	size = buffer->end + more > 2 * size ? buffer->end + more : 2 * size;
	data = anyio_realloc(buffer->data, size);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->size = size;
	return true;
}

static int bio_read(BIO *bio, char *data, size_t size, size_t *done)
{
	struct tls *tls = BIO_get_data(bio);
	struct buffer *in = &tls->in;
	size_t n = buffer_used(in);

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (n > size)
		n = size;
	memcpy(data, in->data + in->start, n);
	in->start += n;
	if (in->start == in->end)
		tls_buffer_free(in);
	*done = n;
	return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *done)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	/* Where nothing goes out any more nothing is kept: who still receives may be made to answer without
	 * end. */
	if (tls->out_failed == 0) {
		if (!tls_buffer_reserve(&tls->out, size)) {
			tls->no_memory = true;
			return 0;
		}
		memcpy(tls->out.data + tls->out.end, data, size);
		tls->out.end += size;
	}
	tls->produced += size;
	*done = size;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "anyio");

	if (method == NULL)
		return NULL;
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	return method;
}
