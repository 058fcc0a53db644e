/* However a test program ends — passed, failed, killed by a limit of time — nothing that it started outlives it: also
 * not what went into the background or into a session of its own. */
#ifndef DALANG_TESTS_GUARDIAN_H
#define DALANG_TESTS_GUARDIAN_H

/* Before the first program is started; again does nothing. From then on every descendant that keeps the environment it
 * is given is known by a mark in it. */
void guardian_start(void);

#endif
