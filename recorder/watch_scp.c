/*
 * The old protocol of scp: one side, the source, sends lines and contents, the other, the sink, answers each with a byte;
 * neither speaks out of turn. "scp -t": the target is the sink; "scp -f": it is the source.
 *
 *	sink: \0	source: T<mtime> 0 <atime> 0	sink: \0
 *			source: D<mode> 0 <name>	sink: \0 ... source: E	sink: \0
 *			source: C<mode> <size> <name>	sink: \0
 *			source: <size bytes> \0		sink: \0
 *
 * Instead of \0 either may say \1 or \2, a text and a newline: a warning, or the end. Bytes are content only after the sink
 * said \0 to the C line, and exactly as many as it announced. Paths are told as they are built from D and C lines, relative to
 * what the command names.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/num.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/watch_priv.h"

#define LINE_MAX_LEN 8192u /* bytes of a line without its newline; longer ones are not followed */
#define DEPTH_MAX 256u	   /* directories */
#define WORD_SIZE 4200u	   /* bytes of a word of the command and its NUL */

#define ODD 1 /* not the protocol; positive, so that no answer of a sink is taken for it */

/* Whose turn it is, and to say what. */
enum turn {
	SINK_GREETS,
	SOURCE_LINE,
	SINK_TO_TIMES,
	SINK_TO_DIRECTORY,
	SINK_TO_FILE,
	SINK_TO_END, /* of a directory */
	SOURCE_CONTENT,
	SOURCE_STATUS,
	SINK_STATUS,
	OVER /* one side said \2, or left the first directory */
};

struct scp {
	enum event_way source;
	bool recursive;
	enum turn turn;
	char line[LINE_MAX_LEN + 1]; /* of whose turn it is, so far; with its first byte */
	size_t n_line;

	uint8_t path[WATCH_PATH_MAX];
	size_t path_len;
	bool cut;
	struct level {
		size_t path_len;
		bool cut;
	} levels[DEPTH_MAX]; /* what to go back to */
	size_t depth;

	struct watch_track *track; /* of the file under way; NULL: none */
	uint32_t number, mode;
	uint64_t size, got;
};

/* Flags of one word. ERR_FORMAT: not scp's. */
static int
read_flags(struct scp *s, const char *flags, unsigned *n_ways)
{
	if (*flags == '\0')
		return ERR_FORMAT;
	for (; *flags != '\0'; flags++) {
		if (strchr("vrpdqtf1", *flags) == NULL)
			return ERR_FORMAT;
		if (*flags == 'r')
			s->recursive = true;
		if (*flags == 't' || *flags == 'f') {
			s->source = *flags == 't' ? EVENT_FRONT : EVENT_BACK;
			++*n_ways;
		}
	}
	return 0;
}

/* 0; ERR_FORMAT, ERR_LIMIT: not a command of scp's own. */
static int
read_command(struct scp *s, const char *command, char *word)
{
	unsigned n_ways = 0, n_paths = 0;
	bool flags = true;
	int r;

	if (watch_word(&command, word, WORD_SIZE) != 0 || strcmp(word, "scp") != 0)
		return ERR_FORMAT;
	while ((r = watch_word(&command, word, WORD_SIZE)) == 0) {
		if (flags && strcmp(word, "--") == 0) {
			flags = false;
		} else if (flags && word[0] == '-' && n_paths == 0) {
			if ((r = read_flags(s, word + 1, &n_ways)) != 0)
				return r;
		} else {
			n_paths++;
		}
	}
	return r == ERR_NOT_FOUND && n_ways == 1 && n_paths > 0 ? 0 : ERR_FORMAT;
}

static int
start(struct watch *w, const char *command)
{
	struct scp *s = calloc(1, sizeof(*s));
	char *word = malloc(WORD_SIZE);
	int r = -ENOMEM;

	if (s != NULL && word != NULL)
		r = read_command(s, command, word) == 0 ? 0 : ERR_FORMAT;
	free(word);
	w->state = s;
	return r;
}

static void
stop(struct watch *w)
{
	struct scp *s = w->state;

	if (s == NULL)
		return;
	watch_track_free(s->track);
	free(s);
}

static void
append(struct scp *s, const void *p, size_t len)
{
	size_t room = sizeof(s->path) - s->path_len;

	if (len > room) {
		s->cut = true;
		len = room;
	}
	memcpy(s->path + s->path_len, p, len);
	s->path_len += len;
}

/* A name below the directory under way; pop() goes back to that. */
static int
push(struct scp *s, const char *name)
{
	if (s->depth == DEPTH_MAX)
		return ODD;
	s->levels[s->depth++] = (struct level){ s->path_len, s->cut };
	if (s->path_len > 0)
		append(s, "/", 1);
	append(s, name, strlen(name));
	return 0;
}

static void
pop(struct scp *s)
{
	s->depth--;
	s->path_len = s->levels[s->depth].path_len;
	s->cut = s->levels[s->depth].cut;
}

/* What is known of the name that was pushed last. */
static struct watch_file
describe(const struct scp *s, enum watch_op op)
{
	return (struct watch_file){ .op = op,
		.path = s->path,
		.path_len = s->path_len,
		.cut = s->cut,
		.has_mode = true,
		.mode = s->mode };
}

/* The target's answer: its byte, and its words behind it. NULL: it gave none. */
static void
put_answer(struct watch_file *f, const char *answer)
{
	if (answer == NULL)
		return;
	f->answered = true;
	f->status = (uint8_t)answer[0];
	if (f->status != 0)
		str_escape(f->text, sizeof(f->text), answer + 1, strlen(answer + 1));
}

/* The file under way is over. */
static int
tell_file(struct watch *w, const char *answer)
{
	struct scp *s = w->state;
	struct watch_file f = describe(s, s->source == EVENT_FRONT ? WATCH_PUT : WATCH_GET);
	int r;

	f.number = s->number;
	f.has_size = true;
	f.size = s->size;
	if (s->got != s->size || s->turn == SINK_TO_FILE)
		watch_track_spoil(s->track);
	watch_track_show(s->track, &f);
	put_answer(&f, answer);
	r = watch_tell(w, &f);
	watch_track_free(s->track);
	s->track = NULL;
	pop(s);
	return r;
}

/* A directory that the target would not have. */
static int
tell_directory(struct watch *w, const char *answer)
{
	struct watch_file f = describe(w->state, WATCH_MKDIR);

	f.number = watch_number(w);
	put_answer(&f, answer);
	return watch_tell(w, &f);
}

/* One number of a T line and what follows it. */
static int
read_time(const char **p, char behind)
{
	size_t n = strspn(*p, "0123456789");

	if (n == 0 || n > 20 || (*p)[n] != behind)
		return ODD;
	*p += behind == '\0' ? n : n + 1;
	return 0;
}

static int
on_times(struct watch *w, char *line)
{
	struct scp *s = w->state;

	const char *p = line;

	/* Seconds and microseconds, twice. */
	for (int i = 0; i < 4; i++)
		if (read_time(&p, i < 3 ? ' ' : '\0') != 0)
			return ODD;
	s->turn = SINK_TO_TIMES;
	return 0;
}

/* "0644 1234 name": what C and D lines have in common. *ret_name: borrowed from line. */
static int
read_entry(struct scp *s, char *line, uint64_t *ret_size, const char **ret_name)
{
	uint32_t mode = 0;
	char *space;

	for (size_t i = 0; i < 4; i++) {
		if (line[i] < '0' || line[i] > '7')
			return ODD;
		mode = mode << 3 | (uint32_t)(line[i] - '0');
	}
	if (line[4] != ' ' || (space = strchr(line + 5, ' ')) == NULL)
		return ODD;
	*space = '\0';
	if (num_parse(line + 5, 0, INT64_MAX, ret_size) != 0)
		return ODD;
	*ret_name = space + 1;
	s->mode = mode;
	if (**ret_name == '\0' || strchr(*ret_name, '/') != NULL || strcmp(*ret_name, ".") == 0 ||
	    strcmp(*ret_name, "..") == 0)
		return ODD;
	return 0;
}

static int
on_file(struct watch *w, char *line)
{
	struct scp *s = w->state;
	const char *name;
	int r;

	if ((r = read_entry(s, line, &s->size, &name)) != 0 || (r = push(s, name)) != 0)
		return r;
	if ((s->track = watch_track_new()) == NULL)
		return -ENOMEM;
	s->number = watch_number(w);
	s->got = 0;
	s->turn = SINK_TO_FILE;
	return 0;
}

static int
on_directory(struct watch *w, char *line)
{
	struct scp *s = w->state;
	const char *name;
	uint64_t size;
	int r;

	if (!s->recursive)
		return ODD;
	if ((r = read_entry(s, line, &size, &name)) != 0 || (r = push(s, name)) != 0)
		return r;
	s->turn = SINK_TO_DIRECTORY;
	return 0;
}

static int
on_end(struct watch *w, char *line)
{
	struct scp *s = w->state;

	if (line[0] != '\0' || s->depth == 0)
		return ODD;
	pop(s);
	s->turn = SINK_TO_END;
	return 0;
}

/* The target's words about no file in particular. */
static int
remark_trouble(struct watch *w, const char *words)
{
	char text[WATCH_TEXT_MAX];

	return watch_remark(w, "scp-error", str_escape(text, sizeof(text), words, strlen(words)));
}

/* The source says that something is wrong, in place of a line; the sink does not answer. */
static int
on_trouble(struct watch *w, char *line)
{
	struct scp *s = w->state;

	if (s->line[0] == '\2')
		s->turn = OVER;
	return s->source == EVENT_FRONT ? 0 : remark_trouble(w, line);
}

static const struct {
	char first;
	int (*on)(struct watch *w, char *line); /* without first and newline */
} lines[] = {
	{ 'T', on_times },
	{ 'C', on_file },
	{ 'D', on_directory },
	{ 'E', on_end },
	{ '\1', on_trouble },
	{ '\2', on_trouble },
};

/* A line of the source is complete. */
static int
on_line(struct watch *w)
{
	struct scp *s = w->state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (lines[i].first == s->line[0])
			return lines[i].on(w, s->line + 1);
	return ODD;
}

/* What the sink's answer leads to, by turn. */
static int
after_greeting(struct watch *w, const char *answer)
{
	struct scp *s = w->state;

	s->turn = answer[0] == '\0' ? SOURCE_LINE : OVER;
	return answer[0] == '\0' || s->source == EVENT_BACK ? 0 : remark_trouble(w, answer + 1);
}

static int
after_line(struct watch *w, const char *answer)
{
	((struct scp *)w->state)->turn = answer[0] == '\2' ? OVER : SOURCE_LINE;
	return 0;
}

static int
after_directory(struct watch *w, const char *answer)
{
	struct scp *s = w->state;
	int r = 0;

	if (answer[0] != '\0') {
		if (s->source == EVENT_FRONT)
			r = tell_directory(w, answer);
		pop(s);
	}
	s->turn = answer[0] == '\2' ? OVER : SOURCE_LINE;
	return r;
}

static int
after_file(struct watch *w, const char *answer)
{
	struct scp *s = w->state;
	int r;

	if (answer[0] == '\0') {
		s->turn = s->size > 0 ? SOURCE_CONTENT : SOURCE_STATUS;
		return 0;
	}
	r = tell_file(w, s->source == EVENT_FRONT ? answer : NULL);
	s->turn = answer[0] == '\2' ? OVER : SOURCE_LINE;
	return r;
}

/* The source's byte behind the content; of a target's, it is the result. */
static int
after_content(struct watch *w, const char *answer)
{
	struct scp *s = w->state;
	int r = s->source == EVENT_BACK ? tell_file(w, answer) : 0;

	s->turn = answer[0] == '\2' ? OVER : SINK_STATUS;
	return r;
}

static int
after_status(struct watch *w, const char *answer)
{
	struct scp *s = w->state;
	int r = s->source == EVENT_FRONT ? tell_file(w, answer) : 0;

	s->turn = answer[0] == '\2' ? OVER : SOURCE_LINE;
	return r;
}

static const struct {
	bool source; /* whose turn; else the sink's */
	int (*on)(struct watch *w,
	    const char *answer); /* a byte and its text; NULL: a turn of another kind */
} turns[] = {
	[SINK_GREETS] = { false, after_greeting },
	[SOURCE_LINE] = { true, NULL },
	[SINK_TO_TIMES] = { false, after_line },
	[SINK_TO_DIRECTORY] = { false, after_directory },
	[SINK_TO_FILE] = { false, after_file },
	[SINK_TO_END] = { false, after_line },
	[SOURCE_CONTENT] = { true, NULL },
	[SOURCE_STATUS] = { true, after_content },
	[SINK_STATUS] = { false, after_status },
	[OVER] = { false, NULL },
};

/* Whether a line, or what an answer says in place of its zero, may begin so. */
static bool
may_begin(const struct scp *s, char c)
{
	if (turns[s->turn].on != NULL)
		return c == '\1' || c == '\2';
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (lines[i].first == c)
			return true;
	return false;
}

/* One byte of a line, or of an answer. */
static int
take_byte(struct watch *w, uint8_t c)
{
	struct scp *s = w->state;
	int (*on)(struct watch *, const char *) = turns[s->turn].on;

	if (s->n_line == 0 && on != NULL && c == '\0') {
		s->line[0] = s->line[1] = '\0';
		return on(w, s->line);
	}
	if (c == '\0' || s->n_line == LINE_MAX_LEN || (s->n_line == 0 && !may_begin(s, (char)c)))
		return ODD;
	if (c != '\n') {
		s->line[s->n_line++] = (char)c;
		return 0;
	}
	s->line[s->n_line] = '\0';
	s->n_line = 0;
	return on != NULL ? on(w, s->line) : on_line(w);
}

/* As many of these bytes of the source as are content. */
static int
take_content(struct watch *w, const uint8_t *p, size_t len, size_t *ret_n)
{
	struct scp *s = w->state;
	size_t n = len < s->size - s->got ? len : (size_t)(s->size - s->got);
	int r;

	watch_track_add(s->track, s->got, p, n);
	if ((r = watch_content(w, s->source, p, n, s->number, s->got)) != 0)
		return r;
	s->got += n;
	if (s->got == s->size)
		s->turn = SOURCE_STATUS;
	*ret_n = n;
	return 0;
}

static int
give_up(struct watch *w, enum event_way way, const uint8_t *p, size_t len, int r)
{
	if (r != ODD)
		return r;
	return watch_lost(w, way, p, len, "not the protocol of scp, or out of turn");
}

static int
data(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	struct scp *s = w->state;
	size_t n = 0; /* bytes of protocol that are not told yet */
	int r = 0;

	while (n < len) {
		bool mine = turns[s->turn].source == (way == s->source);

		if (s->turn == OVER || !mine)
			return give_up(w, way, p, len, ODD);
		if (s->turn == SOURCE_CONTENT) {
			size_t got = 0;

			if ((r = watch_plain(w, way, p, n)) != 0 ||
			    (r = take_content(w, p + n, len - n, &got)) != 0)
				return r;
			p += n + got;
			len -= n + got;
			n = 0;
		} else {
			if ((r = take_byte(w, p[n])) != 0)
				return give_up(w, way, p, len, r);
			n++;
		}
	}
	return watch_plain(w, way, p, n);
}

static int
end(struct watch *w)
{
	struct scp *s = w->state;

	return s->track != NULL ? tell_file(w, NULL) : 0;
}

const struct watch_kind watch_scp = { POL_STREAM_SCP, start, stop, data, end, NULL };
