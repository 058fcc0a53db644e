/* Memory that only the start of the daemon needed. */
#ifndef DALANG_AGENT_DAEMON_TRIM_H
#define DALANG_AGENT_DAEMON_TRIM_H

/* Gives back what is not in use now: free pages of the heap, and pages of the program and its libraries that were only
 * mapped because the start ran through them (certificates, configuration, the first handshake). They are clean copies
 * of files; what is needed again is mapped again at its next use, without reading the disk as long as it is cached. */
void memory_trim(void);

#endif
