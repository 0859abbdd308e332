/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Cleaning up after a signal. */
#include "interrupt.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATHS = 32 };

typedef struct entry {
  char *given, *absolute; /* absolute: without links, whatever the working folder is by then */
} entry;

static struct {
  pthread_mutex_t lock;
  sigset_t signals;
  entry paths[MAX_PATHS];
  char *deepest, *top; /* folders to remove if empty */
  pid_t child;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A path that need not exist: its folder resolved, its last part as it is. */
static char *resolve(const char *path) {
  char *whole = realpath(path, NULL);
  if (whole)
    return whole;
  char *copy = strdup(path);
  char *slash = copy ? strrchr(copy, '/') : NULL;
  const char *last = slash ? path + (slash - copy) + 1 : path;
  if (slash)
    *slash = 0;
  char *dir = copy ? realpath(!slash ? "." : *copy ? copy : "/", NULL) : NULL;
  const size_t size = dir ? strlen(dir) + strlen(last) + 2 : 0;
  char *result = dir ? malloc(size) : NULL;
  if (result)
    snprintf(result, size, "%s/%s", dir, last);
  free(dir);
  free(copy);
  return result;
}

static void remove_path(const char *path) {
  DIR *dir = opendir(path);
  if (!dir) {
    unlink(path);
    return;
  }
  for (const struct dirent *each; (each = readdir(dir));)
    if (strcmp(each->d_name, ".") && strcmp(each->d_name, ".."))
      unlinkat(dirfd(dir), each->d_name, 0);
  closedir(dir);
  rmdir(path);
}

static void remove_empty(char *deepest, const char *top) {
  const size_t least = strlen(top);
  while (strlen(deepest) >= least && strcmp(deepest, "/") != 0) {
    rmdir(deepest);
    char *slash = strrchr(deepest, '/');
    if (!slash || slash == deepest)
      return;
    *slash = 0;
  }
}

static void clean_up(void) {
  if (state.child > 0)
    kill(state.child, SIGKILL);
  // The interrupted work still runs: a file that it makes meanwhile is found the second time.
  for (int attempt = 0; attempt < 100; ++attempt) {
    bool left = false;
    for (int i = 0; i < MAX_PATHS; ++i)
      if (state.paths[i].absolute) {
        remove_path(state.paths[i].absolute);
        left = left || access(state.paths[i].absolute, F_OK) == 0;
      }
    if (!left)
      break;
  }
  if (state.deepest && state.top)
    remove_empty(state.deepest, state.top);
}

static void *wait_for_signal(void *unused) {
  (void)unused;
  int number = 0;
  if (sigwait(&state.signals, &number))
    return NULL;
  pthread_mutex_lock(&state.lock); // kept: nothing is registered or moved from here on
  clean_up();
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  kill(getpid(), number);
  _exit(128 + number);
}

void nibc_interrupt_setup(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  sigemptyset(&state.signals);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
    struct sigaction now;
    if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
      sigaddset(&state.signals, numbers[i]);
  }
  sigset_t before;
  pthread_t thread;
  pthread_sigmask(SIG_BLOCK, &state.signals, &before);
  if (pthread_create(&thread, NULL, wait_for_signal, NULL))
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  else
    pthread_detach(thread);
}

void nibc_interrupt_hold(void) { pthread_mutex_lock(&state.lock); }
void nibc_interrupt_release(void) { pthread_mutex_unlock(&state.lock); }

void nibc_interrupt_remove(const char *path) {
  nibc_interrupt_hold();
  for (int i = 0; i < MAX_PATHS; ++i)
    if (!state.paths[i].given) {
      state.paths[i] = (entry){strdup(path), resolve(path)};
      break;
    }
  nibc_interrupt_release();
}

void nibc_interrupt_forget(const char *path) {
  nibc_interrupt_hold();
  for (int i = 0; i < MAX_PATHS; ++i)
    if (state.paths[i].given && strcmp(state.paths[i].given, path) == 0) {
      free(state.paths[i].given);
      free(state.paths[i].absolute);
      state.paths[i] = (entry){NULL, NULL};
      break;
    }
  nibc_interrupt_release();
}

void nibc_interrupt_remove_empty(const char *path, const char *top) {
  nibc_interrupt_hold();
  free(state.deepest);
  free(state.top);
  state.deepest = resolve(path);
  state.top = resolve(top);
  nibc_interrupt_release();
}

void nibc_interrupt_child(pid_t child) { state.child = child; }
