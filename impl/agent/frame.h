/* Messages as an agent writes them: the reference's agent orders the keys of version 1 differently from its broker. */
#ifndef DALANG_AGENT_FRAME_H
#define DALANG_AGENT_FRAME_H

#include "pcp/message.h"

/* As pcp_encode_parts(), for what an agent sends. */
void frame_encode(enum pcp_version version, const struct pcp_message *m, struct buf *scratch, struct pcp_parts *out);

#endif
