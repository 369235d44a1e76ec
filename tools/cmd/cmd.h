/* SPDX-License-Identifier: GPL-2.0 */
/* The verbs, and what they share. */
#ifndef FUSECR_CMD_H
#define FUSECR_CMD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <json-c/json.h>
#include "nl.h"

/* What every verb returns: the exit status of fusecr. */
enum { CMD_DONE = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

/* argv[0] is "fusecr VERB". */
int cmd_check(int argc, char **argv);
int cmd_checkpoint(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_gate(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_surrogate(int argc, char **argv);	/* started by the CRIU plugin only */
int cmd_verify(int argc, char **argv);

/*
 * The directory of images, by its path: a descriptor, or -1, and why has been said. With
 * @make it is made if it is not there. Not one that others can write to: they would read,
 * or exchange, what is in the images.
 */
int open_images_dir(const char *path, bool make);

/* "fusecr: ..." on the standard error. */
void say_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says what is wrong with the command line, if fmt is given, and where help is. */
int usage_error(char **argv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A terminal that wants colour: NO_COLOR is respected. */
bool wants_colour(FILE *f);
/* Prints obj and a newline, and puts it. */
void print_json(struct json_object *obj);

/* The first line that a program prints, or NULL.  command: a constant. */
char *ask_program(char *buf, size_t len, const char *command);

/* A positive number that is a pid; false for anything else. */
bool parse_pid(const char *s, pid_t *pid);
/* Comm of a task, "?" when it is gone.  Returns buf. */
char *task_comm(char *buf, size_t len, pid_t pid);
/* 0, or says what is missing and returns -errno. */
int open_netlink(struct nl **nl);

#endif
