/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Before CRIU stops anything: the clients come to rest while their daemons
 * still serve (Documentation/gate.md).
 */
#ifndef FUSECR_SURROGATE_CALM_H
#define FUSECR_SURROGATE_CALM_H

struct dump;

/*
 * Closes the gate of each connection and waits until nothing is under way; 0,
 * or -errno with the report saying what is, after CALM_MS.  The gates open with
 * the connections' handles.
 */
int calm(struct dump *d);

#endif
