/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Messages of the command line, with colour on a terminal only. */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
  bool color_err, color_out, verbose;
  const char *model_path, *step;
  int errors;
} state;

static bool wants_color(const char *when, int fd) {
  if (when && strcmp(when, "always") == 0)
    return true;
  if (when && strcmp(when, "never") == 0)
    return false;
  const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
  return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

void nibc_message_setup(const char *when, bool verbose, const char *model_path) {
  state.color_err = wants_color(when, STDERR_FILENO);
  state.color_out = wants_color(when, STDOUT_FILENO);
  state.verbose = verbose;
  state.model_path = model_path;
}

static void print(const char *color, const char *label, const char *message) {
  fflush(stdout);
  const char *on = state.color_err ? color : "", *off = state.color_err ? "\033[0m" : "";
  fprintf(stderr, "nibc: %s%s:%s %s\n", on, label, off, message);
}

#define RED "\033[1;31m"
#define YELLOW "\033[1;33m"
#define CYAN "\033[1;36m"

#define FORMATTED(buffer)                                                                          \
  char buffer[4096];                                                                               \
  va_list args;                                                                                    \
  va_start(args, format);                                                                          \
  vsnprintf(buffer, sizeof buffer, format, args);                                                  \
  va_end(args)

void nibc_error(const char *format, ...) {
  FORMATTED(text);
  ++state.errors;
  print(RED, "error", text);
}

void nibc_warn(const char *format, ...) {
  FORMATTED(text);
  print(YELLOW, "warning", text);
}

void nibc_hint(const char *format, ...) {
  FORMATTED(text);
  print(CYAN, "hint", text);
}

nib_status nibc_fail(nib_status status, const char *format, ...) {
  FORMATTED(text);
  ++state.errors;
  print(RED, "error", text);
  return status;
}

void nibc_say(nib_severity severity, const char *message) {
  static const char *const labels[] = {"note", "warning", "error"};
  static const char *const colors[] = {CYAN, YELLOW, RED};
  state.errors += severity == NIB_ERROR;
  print(colors[severity], labels[severity], message);
}

static void emit(void *user, nib_severity severity, const char *message) {
  (void)user;
  nibc_say(severity, message);
}

const nib_diag *nibc_diag(void) {
  static const nib_diag diag = {emit, NULL};
  return &diag;
}

int nibc_error_count(void) { return state.errors; }
bool nibc_is_verbose(void) { return state.verbose; }

double nibc_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double nibc_step_begin(const char *name) {
  state.step = name;
  return nibc_seconds();
}

void nibc_step_end(double begin, nib_status status) {
  if (!state.verbose)
    return;
  fflush(stdout);
  fprintf(stderr, "%s … %s (%.2f s)\n", state.step, status == NIB_OK ? "ok" : "failed",
          nibc_seconds() - begin);
}

const char *nibc_bold(void) { return state.color_out ? "\033[1m" : ""; }
const char *nibc_plain(void) { return state.color_out ? "\033[0m" : ""; }
