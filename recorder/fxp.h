/*
 * SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (its file PROTOCOL, section 4): numbers, and
 * reading the fields of one packet of which perhaps only the beginning is there.
 */
#ifndef BASTION_RECORDER_FXP_H
#define BASTION_RECORDER_FXP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FXP_VERSION 3u
/* Bytes of a packet behind its length field. OpenSSH ends at 256 KiB; text that is no SFTP is above 512 MiB. */
#define FXP_PACKET_MAX (16u << 20)
#define FXP_HANDLE_MAX 256u /* bytes of a handle (section 6.2 of the draft) */
#define FXP_HEAD 5u	    /* bytes of length and type */

enum fxp_type {
	FXP_INIT = 1,
	FXP_VERSION_IS = 2,
	FXP_OPEN = 3,
	FXP_CLOSE = 4,
	FXP_READ = 5,
	FXP_WRITE = 6,
	FXP_LSTAT = 7,
	FXP_FSTAT = 8,
	FXP_SETSTAT = 9,
	FXP_FSETSTAT = 10,
	FXP_OPENDIR = 11,
	FXP_READDIR = 12,
	FXP_REMOVE = 13,
	FXP_MKDIR = 14,
	FXP_RMDIR = 15,
	FXP_REALPATH = 16,
	FXP_STAT = 17,
	FXP_RENAME = 18,
	FXP_READLINK = 19,
	FXP_SYMLINK = 20,
	FXP_STATUS = 101,
	FXP_HANDLE = 102,
	FXP_DATA = 103,
	FXP_NAME = 104,
	FXP_ATTRS = 105,
	FXP_EXTENDED = 200,
	FXP_EXTENDED_REPLY = 201
};

enum fxp_status { FXP_OK = 0, FXP_EOF = 1, FXP_PERMISSION_DENIED = 3, FXP_OP_UNSUPPORTED = 8 };

#define FXP_F_READ 0x01u
#define FXP_F_WRITE 0x02u
#define FXP_F_APPEND 0x04u
#define FXP_F_CREAT 0x08u
#define FXP_F_TRUNC 0x10u

/* Fields one after another from the front of a packet. */
struct fxp_cursor {
	const uint8_t *p;
	size_t have; /* bytes at p that are there */
	size_t left; /* bytes of the packet from p on, there or not */
	bool bad;    /* a field was longer than the packet: what it gave is empty */
	bool cut;    /* a field was not all there: what it gave is what was */
};

/* have: bytes of the packet that are there; total: of the whole packet. p: behind the type. */
void fxp_cursor_init(struct fxp_cursor *c, const uint8_t *p, size_t have, size_t total);
/* The next field; 0 and empty once something was bad or cut. */
uint32_t fxp_get_u32(struct fxp_cursor *c);
uint64_t fxp_get_u64(struct fxp_cursor *c);
/* A string's bytes, borrowed; as many of them as are there. */
const uint8_t *fxp_get_str(struct fxp_cursor *c, size_t *ret_len);
/* Whether the string is exactly this name. */
bool fxp_is(const uint8_t *p, size_t len, const char *name);

struct fxp_attrs {
	bool has_size, has_mode;
	uint64_t size;
	uint32_t mode;
};
/* File attributes (section 5 of the draft). */
struct fxp_attrs fxp_get_attrs(struct fxp_cursor *c);

#endif
