/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What is undone when SIGINT, SIGTERM, SIGHUP or SIGQUIT ends the process.
 *
 * The signals are blocked in every thread and taken by one that waits for them: it runs ordinary
 * code, with locks and allocation, while the others are stopped from finishing what they began. */
#ifndef NIBC_INTERRUPT_H
#define NIBC_INTERRUPT_H

#include <stdbool.h>
#include <sys/types.h>

/** Starts the waiting thread; call first of all, once. A signal that was ignored stays ignored. */
void nibc_interrupt_setup(void);

/** Removes `path` (a file, or a folder and the files in it) when the process is interrupted, until
 *  nibc_interrupt_forget. Relative paths are resolved now. Best effort: at most 32 paths. */
void nibc_interrupt_remove(const char *path);
void nibc_interrupt_forget(const char *path);
/** Removes the folders from `path` up to `top` that are empty when the process is interrupted. */
void nibc_interrupt_remove_empty(const char *path, const char *top);
/** Between these an interrupt waits: what is done is done as a whole. */
void nibc_interrupt_hold(void);
void nibc_interrupt_release(void);
/** Ends this child process as well; 0: none. Only between hold and release, with the start of the
 *  child, so that an interrupt sees both or neither. */
void nibc_interrupt_child(pid_t child);

#endif
