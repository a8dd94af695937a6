// Which of the tables linked into this library the processor runs.
#include "kernels.h"

const Kernels* const* availableKernels() {
  static const Kernels* tables[4] = {};
  if (tables[0]) return tables;
  int n = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    tables[n++] = &kernelsAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    tables[n++] = &kernelsAvx2;
  tables[n++] = &kernelsPlain;
#elif defined(__aarch64__)
  tables[n++] = &kernelsNeon;
#else
  tables[n++] = &kernelsPlain;
#endif
  return tables;
}
