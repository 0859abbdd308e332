/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nibrt_cluster.h: cores without an operating system that run one program together, for models compiled
 * with --threads=N. Optional: any function that fits nibrt_exec.parallel does as well. The caller brings the
 * number of each core and a barrier. Compiles as C11, the header as C++17 too; allocates nothing.
 *
 *   static nibrt_cluster cluster;                        // core 0, before the others begin:
 *   nibrt_cluster_init(&cluster, 8, barrier, NULL);
 *
 *   if (core != 0) {                                     // each core of the eight:
 *     nibrt_cluster_work(&cluster, core);                // until core 0 stops
 *   } else {
 *     nibrt_exec exec;
 *     nibrt_cluster_exec(&cluster, &exec);
 *     NAME_run(&exec, in, out, arenas);                  // as often as wanted
 *     nibrt_cluster_stop(&cluster);
 *   }
 */
#ifndef NIBRT_CLUSTER_H
#define NIBRT_CLUSTER_H

#include "nibrt_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The fields are nibrt_cluster.c's own. In memory that all cores see. */
typedef struct nibrt_cluster {
  uint32_t cores;
  uint32_t parts; /* of the job; 0: there are no more jobs */
  void (*barrier)(void *user);
  void *user;
  nibrt_task *task;
  void *context;
} nibrt_cluster;

/* `barrier` returns on each of `cores` cores when all of them have called it; what any of them wrote before is
 * then seen by all. */
void nibrt_cluster_init(nibrt_cluster *cluster, uint32_t cores, void (*barrier)(void *user),
                        void *user);
/* On core 0: fills *out_exec, which is for calls on core 0. */
void nibrt_cluster_exec(nibrt_cluster *cluster, nibrt_exec *out_exec);
/* On cores 1 to cores - 1: takes this core's parts of jobs until core 0 calls nibrt_cluster_stop. */
void nibrt_cluster_work(nibrt_cluster *cluster, uint32_t core);
/* On core 0: lets the others return. */
void nibrt_cluster_stop(nibrt_cluster *cluster);

/* For nibrt_exec.parallel, `cluster` being a nibrt_cluster; on core 0. */
void nibrt_cluster_parallel(void *cluster, nibrt_task *task, void *context, uint32_t parts);

#ifdef __cplusplus
}
#endif
#endif
