/* The clock's high-water mark, in a file. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/mark.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/str.h"

#define MARK_TEXT_MAX 24u /* bytes of the file */

struct mark {
	struct loop_timer *timer;
	const char *path;
	uint64_t newest_s, wall0_ns, boot0_ns;
	bool failed; /* the last writing did, and that was said */
};

uint64_t
mark_newest_s(struct mark *m)
{
	uint64_t wall_ns = clock_wall_ns(), steady_ns;

	if (m == NULL)
		return wall_ns / CLOCK_NS_PER_S;
	steady_ns = m->wall0_ns + (clock_boot_ns() - m->boot0_ns);
	if (steady_ns > wall_ns)
		wall_ns = steady_ns;
	if (wall_ns / CLOCK_NS_PER_S > m->newest_s)
		m->newest_s = wall_ns / CLOCK_NS_PER_S;
	return m->newest_s;
}

static int
mark_read(struct mark *m)
{
	char *text = NULL;
	size_t len = 0;
	int r = file_read(m->path, MARK_TEXT_MAX, &text, &len);

	if (r == -ENOENT)
		return 0;
	if (r == ERR_LIMIT)
		return ERR_FORMAT;
	if (r != 0)
		return r;
	if (len == 0 || text[len - 1] != '\n' || memchr(text, '\0', len) != NULL) {
		r = ERR_FORMAT;
	} else {
		text[len - 1] = '\0';
		if (num_parse(text, 0, UINT64_MAX / CLOCK_NS_PER_S, &m->newest_s) != 0)
			r = ERR_FORMAT;
	}
	free(text);
	return r;
}

static int
mark_write(struct mark *m)
{
	char text[MARK_TEXT_MAX];
	int r = str_format(text, sizeof(text), "%llu\n", (unsigned long long)mark_newest_s(m));

	return r != 0 ? r : file_replace(m->path, 0644, text, strlen(text));
}

/* A full disk is news once; the moment that is known goes on counting in memory. */
static void
mark_on_timer(void *arg)
{
	struct mark *m = arg;
	int r = mark_write(m);

	if (r != 0 && !m->failed)
		log_warn("clock.not_kept file=%s reason=\"%s\"", m->path, err_str(r));
	m->failed = r != 0;
	loop_timer_arm(m->timer, MARK_SPAN_NS);
}

int
mark_new(struct loop *l, const char *path, struct mark **ret_mark)
{
	struct mark *m = calloc(1, sizeof(*m));
	int r;

	if (m == NULL)
		return -ENOMEM;
	m->path = path;
	m->wall0_ns = clock_wall_ns();
	m->boot0_ns = clock_boot_ns();
	if ((r = mark_read(m)) != 0 || (r = loop_timer_new(l, mark_on_timer, m, &m->timer)) != 0 ||
	    (r = mark_write(m)) != 0) {
		loop_timer_free(m->timer);
		free(m);
		return r;
	}
	loop_timer_arm(m->timer, MARK_SPAN_NS);
	*ret_mark = m;
	return 0;
}

void
mark_free(struct mark *m)
{
	if (m == NULL)
		return;
	(void)mark_write(m); /* at most a minute is lost, and it was said before */
	loop_timer_free(m->timer);
	free(m);
}
