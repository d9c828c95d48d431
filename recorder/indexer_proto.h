/* The edge between the broker and bastiond-indexer. */
#ifndef BASTION_INDEXER_PROTO_H
#define BASTION_INDEXER_PROTO_H

/*
 * bastiond-indexer --store DIR: descriptor 3 is the broker edge. Sessions are rendered as they end, whatever there is to be
 * rendered at the start too. When the edge closes it ends.
 * bastiond-indexer --store DIR --once [--rebuild]: no edge; what has ended is rendered, then it ends: of a copy of a store.
 */
enum idx_type {
	IDX_READY = 1,	 /* indexer: no fields */
	IDX_REBUILD = 2, /* broker: forget everything and begin anew; no answer */
	IDX_DONE =
	    3 /* indexer, each time that nothing is left to do: u64 sessions rendered since its start */
};

#endif
