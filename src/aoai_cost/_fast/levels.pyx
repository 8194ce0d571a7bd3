"""What vector code this machine can run."""


cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <cpuid.h>
    /* clang knows no such name before version 18. */
    static int has_lzcnt(void)
    {
        unsigned a, b, c, d;
        return __get_cpuid(0x80000001, &a, &b, &c, &d) && c >> 5 & 1;
    }

    static int machine_level(void)
    {
        __builtin_cpu_init();
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2") ||
            !__builtin_cpu_supports("popcnt") || !has_lzcnt())
            return 1;
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
               __builtin_cpu_supports("avx512vbmi2") ? 3 : 2;
    }
    #else
    static int machine_level(void) { return 0; }
    #endif
    """
    int machine_level()


def runnable_levels():
    """Return the names of the levels that this machine can run, the best first.

    Examples
    --------
    >>> runnable_levels()[-1]
    'portable'
    """
    return ("avx512", "avx2", "sse2", "portable")[3 - machine_level():]
