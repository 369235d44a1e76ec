/* SPDX-License-Identifier: GPL-2.0 */
/* How a scenario and its programs talk: a line at a time, through two FIFOs. */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Those are CONTROL.cmd and CONTROL.out, which are opened for both reading and
 * writing: that never waits, and they never end. Ends the program with 2 when it
 * cannot.
 */
void control_open(const char *control);
/* A line, without its end; false when there is none any more. */
bool control_hear(char *line, size_t size);
__attribute__((format(printf, 1, 2)))
void control_say(const char *format, ...);

/* What went wrong, for the one who is to say it. */
extern char wrong[512];
/* Remembers it; returns -1. */
__attribute__((format(printf, 1, 2)))
int bad(const char *format, ...);

/*
 * The whole conversation of most: "ready", if it has started (0); then to each line
 * "ok" when check() gives 0, and to "quit" "bye" when quit() does; else what is in
 * wrong. Returns what main() is to.
 */
int control_serve(int started, int (*check)(void), int (*quit)(void));

#endif
