/* HWLOC_COMPONENTS for orted alone, unless the node's user has set it: hwloc then looks for no
 * accelerators, which would load and start their libraries (50 ms where OpenCL's is installed).
 * Nothing that ORTE decides depends on them. rexlaunch sets it, our plug-ins keep it from the
 * ranks. */
#ifndef REX_LAUNCHER_OPENMPI_ORTED_ENVIRONMENT_H_
#define REX_LAUNCHER_OPENMPI_ORTED_ENVIRONMENT_H_

#define REX_ORTED_HWLOC_NAME "HWLOC_COMPONENTS"
#define REX_ORTED_HWLOC_VALUE "-opencl,-gl,-cuda,-nvml,-rsmi,-levelzero"

#endif
