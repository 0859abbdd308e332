/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The protocol is that of runtime/riscv/nibrt_server.h. */
#include "emulator.h"
#include "message.h"
#include "riscv/nibrt_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct nibc_emulator {
  const nibc_session *session;
  pid_t child;
  int requests, answers;
};

enum { MOST_WORDS = 64, CHILD_IN = 3, CHILD_OUT = 4 };

/* The child's ends of the pipes become its files 3 and 4, whatever numbers they had. */
static int spawn(pid_t *child, char *const *argv, int in, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, in, CHILD_IN);
  posix_spawn_file_actions_adddup2(&actions, out, CHILD_OUT);
  const int failure = posix_spawn(child, argv[0], &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return failure;
}

/* A pipe whose ends close in children and have numbers above those that the child uses. */
static bool make_pipe(int ends[2]) {
  int low[2];
  if (pipe2(low, O_CLOEXEC))
    return false;
  for (int i = 0; i < 2; ++i) {
    ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, CHILD_OUT + 1);
    close(low[i]);
  }
  return ends[0] >= 0 && ends[1] >= 0;
}

static void close_end(int end) {
  if (end >= 0)
    close(end);
}

nib_status nibc_emulator_start(const nibc_session *s, const char *command, nibc_emulator **out) {
  nibc_emulator *e = calloc(1, sizeof *e);
  char *words = strdup(command), *argv[MOST_WORDS] = {NULL};
  int n = 0, in[2] = {-1, -1}, answers[2] = {-1, -1};
  *out = NULL;
  for (char *word = words ? strtok(words, "\n") : NULL; word && n < MOST_WORDS - 1;
       word = strtok(NULL, "\n"))
    argv[n++] = word;
  nib_status status = NIB_OK;
  if (!e || !words || !n)
    status = nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  else if (!make_pipe(in) || !make_pipe(answers))
    status = nibc_fail(NIB_ERROR_IO, "%s: %s", argv[0], strerror(errno));
  if (status == NIB_OK) {
    const int failure = spawn(&e->child, argv, in[0], answers[1]);
    if (failure)
      status = nibc_fail(NIB_ERROR_IO, "%s: %s", argv[0], strerror(failure));
  }
  close_end(in[0]);
  close_end(answers[1]);
  free(words);
  if (status != NIB_OK) {
    close_end(in[1]);
    close_end(answers[0]);
    free(e);
    return status;
  }
  e->session = s;
  e->requests = in[1];
  e->answers = answers[0];
  *out = e;
  return NIB_OK;
}

static bool send(int to, const void *bytes, size_t size) {
  for (const char *at = bytes; size;) {
    const ssize_t n = write(to, at, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static bool receive(int from, void *bytes, size_t size) {
  for (char *at = bytes; size;) {
    const ssize_t n = read(from, at, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static bool transfer(nibc_emulator *e, const void *const *in, void *const *out,
                     nibrt_server_answer *answer) {
  const nib_graph *g = e->session->planned;
  bool ok = true;
  for (int32_t i = 0; ok && i < g->n_inputs; ++i)
    ok = send(e->requests, in[i], nib_tensor_bytes(&g->tensors[g->inputs[i]]));
  ok = ok && receive(e->answers, answer, sizeof *answer);
  for (int32_t i = 0; ok && i < g->n_outputs; ++i)
    ok = receive(e->answers, out[i], nib_tensor_bytes(&g->tensors[g->outputs[i]]));
  return ok;
}

/* What ended the process, after it closed its pipes. */
static nib_status describe_end(nibc_emulator *e) {
  int how = 0;
  while (waitpid(e->child, &how, 0) < 0 && errno == EINTR)
    ;
  e->child = 0;
  const char *target = e->session->target.spec;
  if (WIFSIGNALED(how))
    return nibc_fail(NIB_ERROR_INTERNAL,
                     "the model for %s was ended by signal %d (%s) in the emulator", target,
                     WTERMSIG(how), strsignal(WTERMSIG(how)));
  const nib_status status = nibc_fail(
      NIB_ERROR_INTERNAL, "the emulator ended with status %d while it ran the model for %s",
      WEXITSTATUS(how), target);
  nibc_hint("QEMU before 10 does not know all features");
  return status;
}

nib_status nibc_emulator_run(nibc_emulator *e, const void *const *in, void *const *out,
                             uint64_t *out_instructions, uint64_t *out_stack_bytes) {
  nibrt_server_answer answer = {0};
  if (!transfer(e, in, out, &answer))
    return describe_end(e);
  if (out_instructions)
    *out_instructions = answer.instructions;
  if (out_stack_bytes)
    *out_stack_bytes = answer.stack_bytes;
  return answer.status == NIBRT_OK
             ? NIB_OK
             : nibc_fail(NIB_ERROR_INTERNAL, "the compiled model returned error %d",
                         (int)answer.status);
}

void nibc_emulator_stop(nibc_emulator *e) {
  if (!e)
    return;
  close(e->requests); // the server ends at the end of its requests
  close(e->answers);
  while (e->child && waitpid(e->child, NULL, 0) < 0 && errno == EINTR)
    ;
  free(e);
}
