/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 */
#include "text/m2_file_account.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_GROUPS 64 /* of the user; more are not looked at */

typedef struct user_t {
    uid_t id;
    gid_t groups[MAX_GROUPS];
    int n;
} user_t;

static int in_group(const user_t *user, gid_t group)
{
    int i;

    for (i = 0; i < user->n; i++) {
        if (user->groups[i] == group) {
            return 1;
        }
    }
    return 0;
}

/* need: one of the three bits of a class, as others have it */
static int may(const user_t *user, const char *path, mode_t need)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return 0;
    }
    if (st.st_uid == user->id) {
        return (st.st_mode & (need << 6)) != 0;
    }
    return (st.st_mode & (in_group(user, st.st_gid) ? need << 3 : need)) != 0;
}

static int may_reach(const user_t *user, char *path)
{
    char *slash = path;

    while ((slash = strchr(slash + 1, '/')) != NULL) {
        int passes;

        *slash = '\0';
        passes = may(user, path, S_IXOTH);
        *slash = '/';
        if (!passes) {
            return 0;
        }
    }
    return 1;
}

/* 0 where it is not known, or root. */
static int find_user(user_t *user, const m2_account_t *account)
{
    memset(user, 0, sizeof(*user));
    user->id = (uid_t)account->uid;
    user->n = MAX_GROUPS;
    if (user->id == 0 || user->id == (uid_t)-1) {
        return 0;
    }
    if (!account->name
        || getgrouplist(account->name, (gid_t)account->gid, user->groups, &user->n) < 0) {
        user->groups[0] = (gid_t)account->gid;
        user->n = 1;
    }
    return 1;
}

int m2_account_reads(const m2_account_t *account, const char *path)
{
    char real[PATH_MAX];
    user_t user;

    if (geteuid() != 0) {
        return access(path, R_OK) == 0 || errno == ENOENT; /* not there: for others to tell */
    }
    if (!find_user(&user, account) || !realpath(path, real)) {
        return 1;
    }
    return may_reach(&user, real) && may(&user, real, S_IROTH);
}

int m2_account_fills(const m2_account_t *account, const char *path)
{
    char real[PATH_MAX];
    user_t user;

    if (geteuid() != 0) {
        return access(path, W_OK | X_OK) == 0;
    }
    if (!realpath(path, real)) {
        return 0;
    }
    return !find_user(&user, account)
           || (may_reach(&user, real) && may(&user, real, S_IWOTH) && may(&user, real, S_IXOTH));
}
