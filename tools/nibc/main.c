/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc: the ahead-of-time compiler's command line. */
#include "commands.h"
#include "interrupt.h"
#include "message.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static nib_status (*const commands[NIBC_COMMAND_COUNT])(const nibc_options *) = {
    [NIBC_COMPILE] = nibc_command_compile, [NIBC_RUN] = nibc_command_run,
    [NIBC_VERIFY] = nibc_command_verify,   [NIBC_INSPECT] = nibc_command_inspect,
    [NIBC_TARGETS] = nibc_command_targets, [NIBC_FORMATS] = nibc_command_formats,
};

/* A pipe whose reader has seen enough, as `head` does: that needs no message. */
static bool is_reader_gone(void) {
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* What was printed must have arrived. */
static nib_status flush_output(nib_status status) {
  if (!fflush(stdout) && !ferror(stdout))
    return status;
  if (nibc_error_count() == 0 && !is_reader_gone())
    nibc_error("standard output cannot be written");
  return status == NIB_OK ? NIB_ERROR_IO : status;
}

static int printed(void) { return nib_status_exit_code(flush_output(NIB_OK)); }

static int unknown_command(const char *word) {
  nibc_error("'%s' is not a command", word);
  nibc_hint("'nibc help' lists the commands");
  return nib_status_exit_code(NIB_ERROR_INVALID_USAGE);
}

static int help(int argc, char **argv) {
  if (argc == 0) {
    nibc_help_general(stdout);
    return printed();
  }
  const nibc_command_id command = nibc_command_find(argv[0]);
  if (command == NIBC_COMMAND_COUNT)
    return unknown_command(argv[0]);
  nibc_help_command(stdout, command);
  return printed();
}

static int run_command(nibc_command_id command, int argc, char **argv) {
  nibc_options options;
  if (!nibc_options_parse(command, argc, argv, &options))
    return nib_status_exit_code(NIB_ERROR_INVALID_USAGE);
  if (options.help) {
    nibc_help_command(stdout, command);
    return printed();
  }
  nibc_message_setup(options.color, options.verbose,
                     command == NIBC_FORMATS ? NULL : options.model);
  if (!options.model && command != NIBC_TARGETS && command != NIBC_FORMATS) {
    nibc_error("which model?");
    nibc_hint("'nibc help %s' shows the usage", nibc_command_name(command));
    return nib_status_exit_code(NIB_ERROR_INVALID_USAGE);
  }
  nib_status status = commands[command](&options);
  if (status != NIB_OK && nibc_error_count() == 0 && status != NIB_ERROR_UNSUPPORTED)
    nibc_error("failed without a message (status %d)", status);
  status = flush_output(status);
  return nib_status_exit_code(status);
}

int main(int argc, char **argv) {
  signal(SIGXFSZ, SIG_IGN); // writes beyond a limit fail with a message instead
  signal(SIGPIPE, SIG_IGN);
  nibc_interrupt_setup();
  nibc_message_setup(NULL, false, NULL);
  if (argc < 2) {
    nibc_help_general(stderr);
    return nib_status_exit_code(NIB_ERROR_INVALID_USAGE);
  }
  const char *word = argv[1];
  if (strcmp(word, "--version") == 0) {
    printf("nibc %s\n", NIBC_VERSION);
    return printed();
  }
  if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
    return help(argc - 2, argv + 2);
  const nibc_command_id command = nibc_command_find(word);
  if (command == NIBC_COMMAND_COUNT)
    return unknown_command(word);
  return run_command(command, argc - 2, argv + 2);
}
