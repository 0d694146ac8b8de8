#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <uchar.h>

#include "base.h"

/* The character of each byte (multibase rfcs/Base256Emoji.md), none of them of another's bytes. */
static const char32_t emoji[257] =
	U"🚀🪐☄🛰🌌🌑🌒🌓🌔🌕🌖🌗🌘🌍🌏🌎"
	U"🐉☀💻🖥💾💿😂❤😍🤣😊🙏💕😭😘👍"
	U"😅👏😁🔥🥰💔💖💙😢🤔😆🙄💪😉☺👌"
	U"🤗💜😔😎😇🌹🤦🎉💞✌✨🤷😱😌🌸🙌"
	U"😋💗💚😏💛🙂💓🤩😄😀🖤😃💯🙈👇🎶"
	U"😒🤭❣😜💋👀😪😑💥🙋😞😩😡🤪👊🥳"
	U"😥🤤👉💃😳✋😚😝😴🌟😬🙃🍀🌷😻😓"
	U"⭐✅🥺🌈😈🤘💦✔😣🏃💐☹🎊💘😠☝"
	U"😕🌺🎂🌻😐🖕💝🙊😹🗣💫💀👑🎵🤞😛"
	U"🔴😤🌼😫⚽🤙☕🏆🤫👈😮🙆🍻🍃🐶💁"
	U"😲🌿🧡🎁⚡🌞🎈❌✊👋😰🤨😶🤝🚶💰"
	U"🍓💢🤟🙁🚨💨🤬✈🎀🍺🤓😙💟🌱😖👶"
	U"🥴▶➡❓💎💸⬇😨🌚🦋😷🕺⚠🙅😟😵"
	U"👎🤲🤠🤧📌🔵💅🧐🐾🍒😗🤑🌊🤯🐷☎"
	U"💧😯💆👆🎤🙇🍑❄🌴💣🐸💌📍🥀🤢👅"
	U"💡💩👐📸👻🤐🤮🎼🥵🚩🍎🍊👼💍📣🥂";

size_t utf8_encode(uint32_t code, char out[4])
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(lead[n] | code);
	return n;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *code)
{
	char again[4];

	if (len == 0)
		return 0;
	uint8_t lead = (uint8_t)text[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (n == 0 || n > len || lead > 0xf4)
		return 0;
	*code = n == 1 ? lead : lead & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*code = *code << 6 | ((uint8_t)text[i] & 0x3f);
	/* Refuses overlong forms and bad continuation bytes in one stroke. */
	return utf8_encode(*code, again) == n && memcmp(again, text, n) == 0 ? n : 0;
}

ssize_t emoji_encode(const uint8_t *data, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char utf8[4];
		size_t size = utf8_encode(emoji[data[i]], utf8);
		if (cap - n < size)
			return -ENOSPC;
		memcpy(out + n, utf8, size);
		n += size;
	}
	return (ssize_t)n;
}

ssize_t emoji_decode(const char *text, size_t len, uint8_t *out, size_t cap)
{
	size_t n = 0;

	while (len > 0) {
		uint32_t code;
		size_t size = utf8_decode(text, len, &code), byte = 0;
		if (size == 0)
			return -EINVAL;
		while (byte < 256 && emoji[byte] != code)
			byte++;
		if (byte == 256)
			return -EINVAL;
		if (n == cap)
			return -ENOSPC;
		out[n++] = (uint8_t)byte;
		text += size;
		len -= size;
	}
	return (ssize_t)n;
}
