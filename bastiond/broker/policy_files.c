/* Opening, copying and handing over what policy reads. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bastiond/broker/policy_files.h"
#include "lib/file.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define POLICY_FILES_MAX (SETTINGS_CA_MAX + 2) /* policy, CAs, revocation list */

struct policy_files {
	size_t n;
	struct {
		enum pol_file kind;
		int fd;
		char name[PATH_MAX]; /* for messages */
	} file[POLICY_FILES_MAX];
};

/* A private copy without a name. 0; -errno; ERR_LIMIT. */
static int
policy_files_copy(int from, const char *dir, int *ret_fd)
{
	char path[PATH_MAX], *data = NULL;
	int r, w = -1, fd = -1;
	size_t len;

	if ((r = str_format(path, sizeof(path), "%s/.load.%d", dir, (int)getpid())) != 0 ||
	    (r = file_read_fd(from, POLICY_FILE_MAX, &data, &len)) != 0)
		return r;
	w = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	fd = w < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (w < 0 || fd < 0)
		r = -errno;
	if (w >= 0)
		(void)unlink(path); /* one that stays is in the way of the next: it will say so */
	if (r == 0 && (r = file_write_all(w, data, len)) == 0) {
		*ret_fd = fd;
		fd = -1;
	}
	fd_close(&fd);
	fd_close(&w);
	free(data);
	return r;
}

static int
policy_files_add(struct policy_files *f, enum pol_file kind, const char *path, const char *copy_dir,
    struct conf_err *ret_err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int copy = -1, r;

	r = fd < 0 ? -errno : str_copy(f->file[f->n].name, PATH_MAX, path);
	if (r == 0 && copy_dir != NULL)
		r = policy_files_copy(fd, copy_dir, &copy);
	if (r != 0) {
		(void)snprintf(ret_err->text, sizeof(ret_err->text), "%.300s: %s%s", path,
		    err_str(r),
		    r == -EACCES && copy_dir != NULL
			? " (only folders that were named when bastiond started can be read)"
			: "");
		fd_close(&fd);
		return ERR_FORMAT;
	}
	if (copy >= 0)
		fd_close(&fd);
	f->file[f->n].kind = kind;
	f->file[f->n].fd = copy >= 0 ? copy : fd;
	f->n++;
	return 0;
}

int
policy_files_open(const struct settings *s, const char *copy_dir, struct policy_files **ret_files,
    struct conf_err *ret_err)
{
	struct policy_files *f = calloc(1, sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	r = policy_files_add(f, POL_FILE_POLICY, s->policy, copy_dir, ret_err);
	for (size_t i = 0; r == 0 && i < s->n_user_ca; i++)
		r = policy_files_add(f, POL_FILE_USER_CA, s->user_ca[i], copy_dir, ret_err);
	if (r == 0 && s->revoked[0] != '\0')
		r = policy_files_add(f, POL_FILE_REVOKED, s->revoked, copy_dir, ret_err);
	if (r == 0) {
		*ret_files = f;
		f = NULL;
	}
	policy_files_free(f);
	return r;
}

void
policy_files_free(struct policy_files *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++)
		fd_close(&f->file[i].fd);
	free(f);
}

static int
policy_files_send_one(const struct policy_files *f, size_t i, struct ipc *edge)
{
	struct buf *b = buf_new(PATH_MAX + 16);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put_u8(b, (uint8_t)f->file[i].kind)) == 0 &&
	    (r = buf_put_cstr(b, f->file[i].name)) == 0)
		r = ipc_send_fds(edge, POL_LOAD_FILE, 0, buf_ptr(b), buf_len(b), &f->file[i].fd, 1);
	buf_free(b);
	return r;
}

static int
policy_files_send_end(const struct settings *s, struct ipc *edge)
{
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put_u32(b, (uint32_t)s->auth_tries)) != 0 ||
	    (r = buf_put_u32(b, (uint32_t)s->methods.n)) != 0)
		goto out;
	for (size_t i = 0; r == 0 && i < s->methods.n; i++)
		r = buf_put_cstr(b, s->methods.text[i]);
	if (r == 0 && (r = buf_put_u8(b, s->identity_from_pam ? 1 : 0)) == 0 &&
	    (r = buf_put_u8(b, s->groups_from_pam ? 1 : 0)) == 0 &&
	    (r = buf_put_u8(b, s->explain ? 1 : 0)) == 0 &&
	    (r = buf_put_u64(b, s->pam_timeout_ns)) == 0)
		r = ipc_send_buf(edge, POL_LOAD_END, 0, b);
out:
	buf_free(b);
	return r;
}

int
policy_files_send(const struct policy_files *f, const struct settings *s, struct ipc *edge,
    uint32_t next_leg, uint64_t newest_s)
{
	struct buf *b = buf_new(sizeof(newest_s));
	int r = b == NULL ? -ENOMEM : buf_put_u64(b, newest_s);

	if (r == 0)
		r = ipc_send_buf(edge, POL_LOAD_BEGIN, next_leg, b);
	buf_free(b);
	for (size_t i = 0; r == 0 && i < f->n; i++)
		r = policy_files_send_one(f, i, edge);
	return r == 0 ? policy_files_send_end(s, edge) : r;
}
