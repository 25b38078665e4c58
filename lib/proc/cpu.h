/* SPDX-License-Identifier: MIT */
/* CPUs: ipck_cpu_count is public, this is its cheap part. */
#ifndef PROC_CPU_H
#define PROC_CPU_H

/* CPUs of the affinity mask, whatever quota there is: whether spinning can help. */
int cpu_affinity_count(void);

#endif
