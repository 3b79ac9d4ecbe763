/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * From /proc/locks (proc(5)); without it, in another namespace or on a file system with other
 * numbers, nobody is found.
 */
#include "revocation/m2_revocation_holder.h"

#include <apr_strings.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Its owner is the user that it runs as. An owner, and a group that may write, count as writers. */
static int might_write(int pid, const struct stat *info)
{
    char path[32];
    struct stat process;

    apr_snprintf(path, sizeof(path), "/proc/%d", pid);
    return stat(path, &process) != 0 || process.st_uid == 0 || process.st_uid == info->st_uid
           || (info->st_mode & (S_IWGRP | S_IWOTH));
}

static void name_it(m2_holder_t *holder, int pid)
{
    char path[32], comm[32] = "";
    FILE *file;

    apr_snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    file = fopen(path, "re");
    if (file) {
        if (!fgets(comm, sizeof(comm), file)) {
            comm[0] = '\0';
        }
        fclose(file);
    }
    comm[strcspn(comm, "\n")] = '\0';
    apr_snprintf(holder->name, M2_HOLDER, "process %d%s%s%s", pid, *comm ? " (" : "", comm,
                 *comm ? ")" : "");
}

/* The number at *pp, which moves behind it and the byte `end`; 0 for none. */
static unsigned long number(const char **pp, int base, char end)
{
    char *behind;
    const unsigned long n = strtoul(*pp, &behind, base);

    *pp = *behind == end ? behind + 1 : "";
    return n;
}

static const char *behind_word(const char *p)
{
    p += strspn(p, " ");
    return p + strcspn(p, " ");
}

/* `1: FLOCK  ADVISORY  WRITE 708 fd:01:13631520 0 EOF`, one that waits with `->` in it */
static int is_of(int *ppid, const char *line, const struct stat *info)
{
    const char *p = strstr(line, ": FLOCK ");
    unsigned long major, minor;

    if (!p) {
        return 0;
    }
    p = behind_word(behind_word(p + 8));
    p += strspn(p, " ");
    *ppid = (int)number(&p, 10, ' ');
    major = number(&p, 16, ':');
    minor = number(&p, 16, ':');
    return *p && major == major(info->st_dev) && minor == minor(info->st_dev)
           && number(&p, 10, ' ') == (unsigned long)info->st_ino;
}

void m2_holder_find(m2_holder_t *holder, const struct stat *info)
{
    FILE *file = fopen("/proc/locks", "re");
    char line[256];
    int pid;

    memset(holder, 0, sizeof(*holder));
    holder->writes = 1;
    while (file && fgets(line, sizeof(line), file)) {
        if (is_of(&pid, line, info)) {
            const int writes = might_write(pid, info);

            if (!*holder->name || writes) {
                name_it(holder, pid);
                holder->writes = writes;
            }
        }
    }
    if (file) {
        fclose(file);
    }
}
