/*
 * IP addresses and networks in one form of 16 bytes, IPv4 as ::ffff:a.b.c.d, so that they compare and hash as bytes
 * and an IPv4 client of an IPv6 socket is the same client. Nothing here resolves a name.
 */
#ifndef BASTION_NET_H
#define BASTION_NET_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define NET_TEXT_SIZE 48      /* bytes of an address as text */
#define NET_PORT_TEXT_SIZE 56 /* the same with a port: "[2001:db8::1]:2222" */

struct net_addr {
	uint8_t b[16];
};

/* A network; bits counts in the 16-byte form, so 10.0.0.0/8 has 104. */
struct net_prefix {
	struct net_addr addr;
	unsigned bits;
};

/* v4-mapped addresses count as v4. */
bool net_is_v4(const struct net_addr *a);
bool net_same(const struct net_addr *a, const struct net_addr *b);
/* Whether it is 0.0.0.0 or ::, the address that stands for all of the machine's own. */
bool net_is_any(const struct net_addr *a);

/* "10.0.0.1" or "2001:db8::1", without brackets or zone. 0; ERR_FORMAT. */
int net_parse(const char *s, struct net_addr *ret_addr) MUST_CHECK;
/* "127.0.0.1:2222" or "[::1]:2222"; port 0 is allowed. 0; ERR_FORMAT. */
int net_parse_port(const char *s, struct net_addr *ret_addr, uint16_t *ret_port) MUST_CHECK;
/* From what the kernel says. 0; ERR_FORMAT for another family. */
int net_from_sockaddr(
    const struct sockaddr *sa, struct net_addr *ret_addr, uint16_t *ret_port) MUST_CHECK;
/* For the kernel: AF_INET for IPv4, AF_INET6 else. Returns the length that was filled. */
socklen_t net_to_sockaddr(const struct net_addr *a, uint16_t port, struct sockaddr_storage *ret_sa);
/* Without brackets, IPv4 as such. dst: NET_TEXT_SIZE bytes. Returns dst. */
char *net_text(char *dst, size_t size, const struct net_addr *a);
/* "127.0.0.1:2222" or "[::1]:2222". dst: NET_PORT_TEXT_SIZE bytes. Returns dst. */
char *net_port_text(char *dst, size_t size, const struct net_addr *a, uint16_t port);

/* "10.0.0.0/8", "fe80::/10", or one address. 0; ERR_FORMAT, also when bits behind the prefix are set. */
int net_prefix_parse(const char *s, struct net_prefix *ret_prefix) MUST_CHECK;
/* IPv4 networks hold IPv4 addresses only, and IPv6 networks IPv6 ones: ::/0 does not hold 10.0.0.1. */
bool net_prefix_has(const struct net_prefix *p, const struct net_addr *a);
/* Clear what lies behind the first v4_bits (of 32) or v6_bits (of 128). */
void net_mask(struct net_addr *a, unsigned v4_bits, unsigned v6_bits);

#endif
