/*
 * SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (its file PROTOCOL, section 4): numbers, and
 * reading the fields of one packet of which perhaps only the beginning is there.
 */
#ifndef BASTION_RECORDER_SFTP_H
#define BASTION_RECORDER_SFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SFTP_VERSION 3u
/* Bytes of a packet behind its length field. OpenSSH ends at 256 KiB; text that is no SFTP is above 512 MiB. */
#define SFTP_PACKET_MAX (16u << 20)
#define SFTP_HANDLE_MAX 256u /* bytes of a handle (section 6.2 of the draft) */
#define SFTP_HEAD 5u	     /* bytes of length and type */

enum sftp_type {
	SFTP_INIT = 1,
	SFTP_VERSION_IS = 2,
	SFTP_OPEN = 3,
	SFTP_CLOSE = 4,
	SFTP_READ = 5,
	SFTP_WRITE = 6,
	SFTP_LSTAT = 7,
	SFTP_FSTAT = 8,
	SFTP_SETSTAT = 9,
	SFTP_FSETSTAT = 10,
	SFTP_OPENDIR = 11,
	SFTP_READDIR = 12,
	SFTP_REMOVE = 13,
	SFTP_MKDIR = 14,
	SFTP_RMDIR = 15,
	SFTP_REALPATH = 16,
	SFTP_STAT = 17,
	SFTP_RENAME = 18,
	SFTP_READLINK = 19,
	SFTP_SYMLINK = 20,
	SFTP_STATUS = 101,
	SFTP_HANDLE = 102,
	SFTP_DATA = 103,
	SFTP_NAME = 104,
	SFTP_ATTRS = 105,
	SFTP_EXTENDED = 200,
	SFTP_EXTENDED_REPLY = 201
};

enum sftp_status { SFTP_OK = 0, SFTP_EOF = 1, SFTP_PERMISSION_DENIED = 3, SFTP_OP_UNSUPPORTED = 8 };

#define SFTP_F_READ 0x01u
#define SFTP_F_WRITE 0x02u
#define SFTP_F_APPEND 0x04u
#define SFTP_F_CREAT 0x08u
#define SFTP_F_TRUNC 0x10u

/* Fields one after another from the front of a packet. */
struct sftp_cursor {
	const uint8_t *p;
	size_t have; /* bytes at p that are there */
	size_t left; /* bytes of the packet from p on, there or not */
	bool bad;    /* a field was longer than the packet: what it gave is empty */
	bool cut;    /* a field was not all there: what it gave is what was */
};

/* have: bytes of the packet that are there; total: of the whole packet. p: behind the type. */
void sftp_cursor_init(struct sftp_cursor *c, const uint8_t *p, size_t have, size_t total);
/* The next field; 0 and empty once something was bad or cut. */
uint32_t sftp_u32(struct sftp_cursor *c);
uint64_t sftp_u64(struct sftp_cursor *c);
/* A string's bytes, borrowed; as many of them as are there. */
const uint8_t *sftp_str(struct sftp_cursor *c, size_t *ret_len);
/* Whether the string is exactly this name. */
bool sftp_is(const uint8_t *p, size_t len, const char *name);

struct sftp_attrs {
	bool has_size, has_mode;
	uint64_t size;
	uint32_t mode;
};
/* File attributes (section 5 of the draft). */
struct sftp_attrs sftp_get_attrs(struct sftp_cursor *c);

#endif
