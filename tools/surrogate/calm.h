/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Before CRIU stops anything: the clients come to rest while their daemons
 * still serve (Documentation/gate.md).
 */
#ifndef FUSECR_SURROGATE_CALM_H
#define FUSECR_SURROGATE_CALM_H

struct dump;

/*
 * Those without whom nobody would be answered, and we: no gate of ours is to stop them.
 * -errno, with the report saying why.
 */
int exempt_find(struct dump *d);

/*
 * Closes the gate of each connection, waits until nothing is under way, and has
 * what is dirty written; 0 also when it gave up waiting, after which what is left
 * is to be looked for.  -errno, with the report saying why.  The gates open with
 * the connections' handles.
 */
int calm(struct dump *d);

#endif
