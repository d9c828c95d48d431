/* What cppcheck cannot see of <sys/queue.h>. For make lint only, nothing includes it. */
#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *first;                                                                \
	}
#define SLIST_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *first;                                                                \
	}
#define STAILQ_HEAD(name, type)                                                                    \
	struct name {                                                                              \
		struct type *first;                                                                \
		struct type **last;                                                                \
	}
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *first;                                                                \
		struct type **last;                                                                \
	}
#define LIST_FOREACH(e, head, link) for ((e) = (head)->first; (e) != 0; (e) = (e)->link.le_next)
#define SLIST_FOREACH(e, head, link) for ((e) = (head)->first; (e) != 0; (e) = (e)->link.sle_next)
#define STAILQ_FOREACH(e, head, link) for ((e) = (head)->first; (e) != 0; (e) = (e)->link.stqe_next)
#define TAILQ_FOREACH(e, head, link) for ((e) = (head)->first; (e) != 0; (e) = (e)->link.tqe_next)
