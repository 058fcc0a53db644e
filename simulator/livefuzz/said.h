/* Who has said what, to tell a message that a broker passes on under a name that is not its sender's. Only what is
 * beyond doubt is a lie: nobody is accused of a message that its owner may have said as well, be it without a sender
 * (which a broker adds) or in bytes that a broker with a milder reader takes. */
#ifndef DALANG_LIVEFUZZ_SAID_H
#define DALANG_LIVEFUZZ_SAID_H

#include "base/map.h"
#include "pcp/message.h"

struct said {
    struct map lies, own; /* sets of "id name": said by another client under that name; said by that client itself */
};

void said_free(struct said *s);
/* `name`, a certificate's, is about to send these bytes as one message. Before they go out: the answer is quick. */
void said_note(struct said *s, struct span name, enum pcp_version version, struct span bytes);
/* Was this one only ever said by somebody who is not its sender? */
bool said_is_lie(const struct said *s, const struct pcp_message *m);

#endif
