/* What reading and writing a bundle share. */
#ifndef BASTION_RECORDER_STORE_BUNDLE_PART_H
#define BASTION_RECORDER_STORE_BUNDLE_PART_H

#define BUNDLE_MAGIC "bastiond-bundle\n"
#define BUNDLE_MAGIC_LEN 16u

#endif
