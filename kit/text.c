/* Names are any bytes; JSON is not. */
#include <kit/call.h>

#include <ipld/utf8.h>
#include <stdlib.h>
#include <string.h>

char *kit_json_text(const char *bytes)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t left = strlen(bytes);
	char *text = malloc(left * (sizeof(replacement) - 1) + 1), *out = text;

	if (!text)
		return NULL;
	while (left) {
		size_t n = ipld_utf8_next((const uint8_t *)bytes, left);
		size_t size = n ? n : sizeof(replacement) - 1;
		memcpy(out, n ? bytes : replacement, size);
		out += size;
		bytes += n ? n : 1;
		left -= n ? n : 1;
	}
	*out = 0;
	return text;
}
