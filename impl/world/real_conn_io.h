/* Inside of the real world: what the files of a connection share. */
#ifndef DALANG_WORLD_REAL_CONN_IO_H
#define DALANG_WORLD_REAL_CONN_IO_H

#include "world/real_conn.h"

void real_conn_watch_open(struct real_conn *c);
void real_conn_read(struct real_conn *c);
void real_conn_flush(struct real_conn *c); /* sends from the queue; tells when it is empty */
void real_conn_pause(struct world_conn *conn, bool paused);

#endif
