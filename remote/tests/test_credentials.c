/* Where credentials come from, whom a file of them may belong to, and that no text shows one. */
#include <fcntl.h>
#include <remote/credentials.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tests/check.h"

static char dir[] = "/tmp/remote-credentials-XXXXXX", path[64];

static int make_dir(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text, size_t len, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int load(const char *text, struct remote_credentials *out, struct remote_why *why)
{
	memset(why, 0, sizeof(*why));
	write_file(text, strlen(text), 0600);
	return remote_credentials_file(out, path, why);
}

static void assert_empty(const struct remote_credentials *credentials)
{
	static const struct remote_credentials empty;

	assert_memory_equal(credentials, &empty, sizeof(empty));
}

static void assert_keeps(const struct remote_why *why, const char *secret)
{
	assert_true(why->what[0] != '\0');
	assert_null(strstr(why->what, secret));
	assert_null(strstr(why->hint, secret));
}

static void set(const char *key, const char *secret, const char *session)
{
	const char *names[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN" };
	const char *values[] = { key, secret, session };

	for (int i = 0; i < 3; i++)
		if (values[i])
			setenv(names[i], values[i], 1);
		else
			unsetenv(names[i]);
}

static void test_environment(void **state)
{
	struct remote_credentials out;
	struct remote_why why;

	set("AKID", "s3cret/+=", NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), 0);
	assert_string_equal(out.key, "AKID");
	assert_string_equal(out.secret, "s3cret/+=");
	assert_string_equal(out.session, "");
	set("AKID", "s3cret", "token");
	assert_int_equal(remote_credentials_environment(&out, &why), 0);
	assert_string_equal(out.session, "token");

	set(NULL, NULL, NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), -ENOENT);
	assert_empty(&out);
	assert_int_equal(remote_credentials_environment(&out, NULL), -ENOENT);
}

static void test_environment_refuses(void **state)
{
	char longer[300];
	struct remote_credentials out;
	struct remote_why why;

	set("AKID", NULL, NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), -EINVAL);
	assert_empty(&out);
	set(NULL, "s3cret", NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), -EINVAL);
	assert_keeps(&why, "s3cret");
	set("AKID", "s3cret\r\nX-Other: 1", NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), -EINVAL);
	assert_keeps(&why, "s3cret");
	assert_empty(&out);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	set("AKID", longer, NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), -EINVAL);
	assert_keeps(&why, "xxxx");
	set(NULL, NULL, NULL);
}

static void test_file(void **state)
{
	struct remote_credentials out;
	struct remote_why why;

	assert_int_equal(
		load("aws_access_key_id = AKID\naws_secret_access_key=s3cret==\n", &out, &why), 0);
	assert_string_equal(out.key, "AKID");
	assert_string_equal(out.secret, "s3cret==");
	assert_int_equal(
		load("# mine\r\n[other]\naws_access_key_id = NOT\nnonsense\n\n[default]\r\n"
		     "; more\n\taws_access_key_id\t=\tAKID \r\nregion = x\n"
		     "aws_secret_access_key = s3cret\r\naws_session_token = token",
			&out, &why),
		0);
	assert_string_equal(out.key, "AKID");
	assert_string_equal(out.secret, "s3cret");
	assert_string_equal(out.session, "token");
}

static void test_password(void **state)
{
	struct remote_credentials out;
	struct remote_why why;

	set(NULL, NULL, NULL);
	setenv("SFTP_PASSWORD", "with spaces \xc3\xbc", 1);
	assert_int_equal(remote_credentials_environment(&out, &why), 0);
	assert_string_equal(out.password, "with spaces \xc3\xbc");
	setenv("SFTP_PASSWORD", "s3cret\n", 1);
	assert_int_equal(remote_credentials_environment(&out, &why), -EINVAL);
	assert_keeps(&why, "s3cret");
	assert_empty(&out);
	setenv("SFTP_PASSWORD", "s3cret", 1);
	set("AKID", NULL, NULL);
	assert_int_equal(remote_credentials_environment(&out, &why), -EINVAL);
	assert_keeps(&why, "s3cret");
	unsetenv("SFTP_PASSWORD");
	set(NULL, NULL, NULL);
	assert_int_equal(load("sftp_password =  a = b # c \n", &out, &why), 0);
	assert_string_equal(out.password, "a = b # c");
	assert_int_equal(load("sftp_password = s3c\x01ret\n", &out, &why), -EINVAL);
	assert_keeps(&why, "ret");
	assert_empty(&out);
}

static void test_file_refuses(void **state)
{
	struct remote_credentials out;
	struct remote_why why;

	assert_int_equal(load("", &out, &why), -ENOENT);
	assert_int_equal(load("aws_access_key_id = AKID\n", &out, &why), -EINVAL);
	assert_int_equal(load("aws_secret_access_key: s3cret\n", &out, &why), -EINVAL);
	assert_keeps(&why, "s3cret");
	assert_int_equal(load("aws_secret_access_key = s3cret with space\n", &out, &why), -EINVAL);
	assert_keeps(&why, "s3cret");
	assert_empty(&out);
	write_file("aws_access_key_id = A\0B\n", 24, 0600);
	assert_int_equal(remote_credentials_file(&out, path, &why), -EINVAL);
}

static void test_file_is_its_owners_alone(void **state)
{
	static const char text[] = "aws_access_key_id = AKID\naws_secret_access_key = s3cret\n";
	static const mode_t wide[] = { 0640, 0604, 0660, 0601, 0610, 0777 };
	struct remote_credentials out;
	struct remote_why why;

	for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++) {
		write_file(text, strlen(text), wide[i]);
		assert_int_equal(remote_credentials_file(&out, path, &why), -EPERM);
		assert_keeps(&why, "s3cret");
		assert_non_null(strstr(why.hint, "chmod 600"));
		assert_empty(&out);
	}
	write_file(text, strlen(text), 0400);
	assert_int_equal(remote_credentials_file(&out, path, &why), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(remote_credentials_file(&out, path, &why), -EPERM);
		assert_non_null(strstr(why.hint, "chown"));
	}
}

static void test_file_is_a_plain_one(void **state)
{
	struct remote_credentials out;
	struct remote_why why;

	unlink(path);
	assert_int_equal(remote_credentials_file(&out, path, &why), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(remote_credentials_file(&out, path, &why), ANYIO_NOT_A_FILE);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(remote_credentials_file(&out, path, &why), ANYIO_NOT_A_FILE);
}

static void test_wipe(void **state)
{
	struct remote_credentials out = { .key = "AKID", .secret = "s3cret", .session = "token" };

	remote_credentials_wipe(&out);
	assert_empty(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_environment_refuses),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_file_refuses),
		cmocka_unit_test(test_file_is_its_owners_alone),
		cmocka_unit_test(test_file_is_a_plain_one),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
