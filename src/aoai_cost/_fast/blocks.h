/* Large zeroed memory. Tables of megabytes are read at random: where the system has them, large pages spare a
 * look into its own tables for nearly every read, and most of the time that touching so many pages takes. */
#ifndef AOAI_COST_BLOCKS_H
#define AOAI_COST_BLOCKS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* `new_block` gives zeroed memory that begins at a cache line, where it can at a large page; NULL when there is none. */
#if defined(__linux__)
#include <sys/mman.h>
#define LARGE_PAGE ((size_t)2 << 20)

static inline void *new_block(size_t bytes)
{
    size_t whole = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE, before;
    uint8_t *start = (uint8_t *)mmap(NULL, whole + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == (uint8_t *)MAP_FAILED)
        return NULL;
    before = (LARGE_PAGE - (uintptr_t)start % LARGE_PAGE) % LARGE_PAGE;
    if (before)
        munmap(start, before);
    munmap(start + before + whole, LARGE_PAGE - before);
    madvise(start + before, whole, MADV_HUGEPAGE);
    return start + before;
}

static inline void free_block(void *block, size_t bytes)
{
    if (block != NULL)
        munmap(block, (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
}
#else
#define CACHE_LINE 64

static inline void *new_block(size_t bytes)
{
    uint8_t *memory = (uint8_t *)calloc(1, bytes + CACHE_LINE), *start;
    if (memory == NULL)
        return NULL;
    start = memory + CACHE_LINE - (uintptr_t)memory % CACHE_LINE;
    start[-1] = (uint8_t)(start - memory);
    return start;
}

static inline void free_block(void *block, size_t bytes)
{
    uint8_t *start = (uint8_t *)block;
    (void)bytes;
    if (start != NULL)
        free(start - start[-1]);
}
#endif
#endif
