/* Text streams: whole characters however the bytes were cut, and what is no text. */
#include "sockets.h"
#include <anyio/testing.h>

/* "a", a letter of two bytes, a sign of three, a face of four. */
static const char sample[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
enum { SAMPLE = sizeof(sample) - 1 };

struct line {
	struct anyio_stream *ends[2];
	struct anyio_text text;
};

static void line_open(struct line *line, enum anyio_text_errors errors)
{
	CHECK_RC(anyio_stream_pair(0, line->ends), 0);
	anyio_text_init(&line->text, line->ends[1], errors);
}

static void line_close(struct line *line)
{
	anyio_text_destroy(&line->text);
	pair_free(line->ends);
}

static void put(struct line *line, const void *data, size_t size)
{
	CHECK_RC(anyio_stream_send(line->ends[0], data, size), 0);
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

#define CHECK_TEXT(line, wanted)                                                                   \
	do {                                                                                       \
		char check_text[64];                                                               \
		CHECK_RC(anyio_text_receive(&(line)->text, check_text, sizeof(check_text)),        \
			sizeof(wanted) - 1);                                                       \
		CHECK(memcmp(check_text, wanted, sizeof(wanted)) == 0);                            \
	} while (0)

#define CHECK_LINE(line, wanted)                                                                   \
	do {                                                                                       \
		char check_line[64];                                                               \
		CHECK_RC(anyio_text_receive_line(&(line)->text, check_line, sizeof(check_line)),   \
			sizeof(wanted) - 1);                                                       \
		CHECK(memcmp(check_line, wanted, sizeof(wanted)) == 0);                            \
	} while (0)

struct receiving {
	struct line *line;
	struct anyio_task_handle handle;
	char buffer[64];
	ssize_t rc;
};

static int receive_text(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_text_receive(&self->line->text, self->buffer, sizeof(self->buffer));
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* The first piece ends everywhere in turn; what it has of a character waits for the rest, and outlives
 * a cancellation. */
static int characters_come_whole(void *arg)
{
	static const size_t whole[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6 };

	for (size_t cut = 1; cut < SAMPLE; cut++) {
		struct line line;
		struct receiving self = { .line = &line };
		struct anyio_task_group group;
		size_t had = whole[cut];
		char buffer[64];

		line_open(&line, ANYIO_TEXT_STRICT);
		put(&line, sample, cut);
		CHECK_RC(anyio_text_receive(&line.text, buffer, sizeof(buffer)), had);
		CHECK(memcmp(buffer, sample, had) == 0 && buffer[had] == '\0');
		anyio_task_group_enter(&group);
		spawn(&group, receive_text, &self, &self.handle);
		anyio_wait_all_tasks_blocked();
		anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(self.rc, ANYIO_CANCELLED);
		put(&line, sample + cut, SAMPLE - cut);
		CHECK_RC(anyio_text_receive(&line.text, buffer, sizeof(buffer)), SAMPLE - had);
		CHECK(memcmp(buffer, sample + had, SAMPLE - had + 1) == 0);
		line_close(&line);
	}
	return 0;
}

static int small_buffers_get_what_fits(void *arg)
{
	struct line line;
	char buffer[5];

	line_open(&line, ANYIO_TEXT_STRICT);
	put_text(&line, sample);
	CHECK_RC(anyio_text_receive(&line.text, buffer, 4), -EINVAL);
	CHECK_RC(anyio_text_receive(&line.text, buffer, 5), 3);
	CHECK(memcmp(buffer, "a\xc3\xa9", 4) == 0);
	CHECK_RC(anyio_text_receive(&line.text, buffer, 5), 3);
	CHECK(memcmp(buffer, "\xe2\x82\xac", 4) == 0);
	CHECK_RC(anyio_text_receive(&line.text, buffer, 5), 4);
	CHECK(memcmp(buffer, "\xf0\x9f\x98\x80", 5) == 0);
	anyio_stream_close(line.ends[0]);
	CHECK_RC(anyio_text_receive(&line.text, buffer, 5), 0);
	line_close(&line);
	return 0;
}

/* What came before is received, then the error stays where it is. */
static int strict_stops_at_what_is_no_text(void *arg)
{
	struct line line;
	const uint8_t *data;
	char buffer[16];

	line_open(&line, ANYIO_TEXT_STRICT);
	put_text(&line, "ok\xff more");
	CHECK_TEXT(&line, "ok");
	CHECK_RC(anyio_text_receive(&line.text, buffer, sizeof(buffer)), -EILSEQ);
	CHECK_RC(anyio_text_receive(&line.text, buffer, sizeof(buffer)), -EILSEQ);
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 4), ANYIO_DELIMITER_NOT_FOUND);
	put_text(&line, "\n");
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, sizeof(buffer)), -EILSEQ);
	CHECK_RC(anyio_reader_peek(anyio_text_reader(&line.text), 1, &data), 7);
	CHECK_RC(data[0], 0xff);
	anyio_reader_consume(anyio_text_reader(&line.text), 1);
	CHECK_TEXT(&line, " more\n");
	line_close(&line);
	return 0;
}

static int end_inside_a_character(void *arg)
{
	struct line strict, replace;
	char buffer[16];

	line_open(&strict, ANYIO_TEXT_STRICT);
	line_open(&replace, ANYIO_TEXT_REPLACE);
	put_text(&strict, "\xf0\x9f\x98");
	put_text(&replace, "\xf0\x9f\x98");
	anyio_stream_close(strict.ends[0]);
	anyio_stream_close(replace.ends[0]);
	CHECK_RC(anyio_text_receive(&strict.text, buffer, sizeof(buffer)), -EILSEQ);
	CHECK_RC(anyio_text_receive_line(&strict.text, buffer, sizeof(buffer)), -EILSEQ);
	CHECK_TEXT(&replace, "\xef\xbf\xbd");
	CHECK_RC(anyio_text_receive(&replace.text, buffer, sizeof(buffer)), 0);
	line_close(&strict);
	line_close(&replace);
	return 0;
}

/* Unicode 15, section 3.9, tables 3-8 to 3-11: as many signs as there are maximal subparts. */
static int replace_follows_unicode(void *arg)
{
#define R "\xef\xbf\xbd"
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A" },
		{ "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A" },
		{ "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B" },
		{ "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A" },
		{ "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
			"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" },
		{ "\xf5\x80\xc1\x80\xe0\xa0\x80", R R R R "\xe0\xa0\x80" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct line line;
		char buffer[64];

		line_open(&line, ANYIO_TEXT_REPLACE);
		put_text(&line, cases[i].in);
		CHECK_RC(anyio_text_receive(&line.text, buffer, sizeof(buffer)),
			(int64_t)strlen(cases[i].out));
		CHECK(strcmp(buffer, cases[i].out) == 0);
		line_close(&line);
	}
	return 0;
}

static int lines_end_with_lf_or_cr_lf(void *arg)
{
	struct line line;
	char buffer[16];

	line_open(&line, ANYIO_TEXT_STRICT);
	put_text(&line, "one\ntwo\r\n\n\r\nfo\rur\r\r\n\xe2\x82\xac\nlast\r");
	anyio_stream_close(line.ends[0]);
	CHECK_LINE(&line, "one");
	CHECK_LINE(&line, "two");
	CHECK_LINE(&line, "");
	CHECK_LINE(&line, "");
	CHECK_LINE(&line, "fo\rur\r");
	CHECK_LINE(&line, "\xe2\x82\xac");
	CHECK_LINE(&line, "last\r");
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, sizeof(buffer)), ANYIO_END_OF_STREAM);
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 0), -EINVAL);
	line_close(&line);
	return 0;
}

static int long_lines_are_left(void *arg)
{
	struct line line;
	char buffer[16];

	line_open(&line, ANYIO_TEXT_REPLACE);
	put_text(&line, "12345\r\n\xff\xff\n67\n");
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 5), ANYIO_DELIMITER_NOT_FOUND);
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 6), 5);
	CHECK(strcmp(buffer, "12345") == 0);
	/* It is what comes out that has to fit. */
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 6), ANYIO_DELIMITER_NOT_FOUND);
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 7), 6);
	CHECK(strcmp(buffer, R R) == 0);
	CHECK_LINE(&line, "67");
	/* Known to be too long without its end, the CR allowed for; and no sooner. */
	put_text(&line, "1234\r");
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 4), ANYIO_DELIMITER_NOT_FOUND);
	put_text(&line, "\n");
	CHECK_RC(anyio_text_receive_line(&line.text, buffer, 5), 4);
	line_close(&line);
	return 0;
}
#undef R

static int send_pieces(void *arg)
{
	static const char text[] = "first \xe2\x82\xac line\r\nsecond\n";
	int rc = 0;

	for (size_t i = 0; i < sizeof(text) - 1 && rc == 0; i++)
		rc = anyio_stream_send(arg, &text[i], 1);
	return rc;
}

static int lines_come_in_any_pieces(void *arg)
{
	struct line line;
	struct anyio_task_group group;

	CHECK_RC(anyio_stream_pair(1, line.ends), 0);
	anyio_text_init(&line.text, line.ends[1], ANYIO_TEXT_STRICT);
	anyio_task_group_enter(&group);
	spawn(&group, send_pieces, line.ends[0], NULL);
	CHECK_LINE(&line, "first \xe2\x82\xac line");
	CHECK_LINE(&line, "second");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	line_close(&line);
	return 0;
}

static int sends_text_alone(void *arg)
{
	struct line line;
	struct anyio_text replacing;
	char buffer[32];

	line_open(&line, ANYIO_TEXT_STRICT);
	anyio_text_init(&replacing, line.ends[1], ANYIO_TEXT_REPLACE);
	CHECK_RC(anyio_text_send(&line.text, sample, SAMPLE), 0);
	CHECK_RC(anyio_text_send(&line.text, "bad \xc3", 5), -EILSEQ);
	CHECK_RC(anyio_text_send(&line.text, "", 0), 0);
	CHECK_RC(anyio_stream_receive(line.ends[0], buffer, sizeof(buffer)), SAMPLE);
	CHECK(memcmp(buffer, sample, SAMPLE) == 0);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_text_send(&replacing, "\xff", 1), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK_RC(anyio_text_send(&replacing, "bad\xff\xc3", 5), 0);
	CHECK_RC(anyio_stream_receive(line.ends[0], buffer, sizeof(buffer)), 9);
	CHECK(memcmp(buffer, "bad\xef\xbf\xbd\xef\xbf\xbd", 9) == 0);
	anyio_text_destroy(&replacing);
	line_close(&line);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(characters_come_whole, CONFORM_MOCK),
		CONFORM(small_buffers_get_what_fits, CONFORM_MOCK),
		CONFORM(strict_stops_at_what_is_no_text, CONFORM_MOCK),
		CONFORM(end_inside_a_character, CONFORM_MOCK),
		CONFORM(replace_follows_unicode, CONFORM_MOCK),
		CONFORM(lines_end_with_lf_or_cr_lf, CONFORM_MOCK),
		CONFORM(long_lines_are_left, CONFORM_MOCK),
		CONFORM(lines_come_in_any_pieces, CONFORM_MOCK),
		CONFORM(sends_text_alone, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
