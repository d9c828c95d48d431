/* Made from the protocol headers. */
#define PROTO_DIGEST "0.1.0 ef2d5ba1546f6ca3961a46a31510595c"
