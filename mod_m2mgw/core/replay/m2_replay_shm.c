/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The replay table of one machine: shared memory, or a mapped file that survives restarts.
 *
 *     0      +-----------------------------------------------------------+
 *            | head    magic, version, geometry, salt, check     (fixed) |
 *     4096   +-----------------------------------------------------------+
 *            | state   lock | hand | live | retired | boot, clean | held |
 *     8192   +-----------------------------------------------------------+
 *            | wheel   131072 counters: how many marks end in a second   |
 *            |         index = second mod 131072                         |
 *     532480 +-----------------------------------------------------------+
 *            | buckets of 16 slots, 512 bytes                            |
 *            |   slot  id (16) | check (8) | expiry (8)                  |
 *            |   expiry = 0: never used   <= now: free   > now: live     |
 *            +-----------------------------------------------------------+
 *
 * An id has two buckets, and goes to the one with fewer live marks. There are 16 slots for
 * ten entries promised, and with two choices hardly a bucket grows past its mean of 10 by
 * more than log log n: with all entries alive 13 in 100000 hold 14, none of 50 million was
 * seen to hold 15, and each step up squares the rarity. So what bounds the table is the exact
 * count of live marks. Slots are never moved; a mark reads 32 slots and writes one, and that
 * is all it ever costs.
 *
 * The count is exact without a sweep: each mark is counted in `live` and in the wheel at the
 * second it ends; as time passes the hand walks the wheel and takes from `live` what ended.
 *
 * One robust lock guards it all, for some 200 ns. When its holder is killed the next one
 * gets EOWNERDEAD: the table is whole at any instruction, since a slot counts only from its
 * last store (expiry) on and is emptied by its first; only live and wheel are counted anew.
 *
 * A file is created under another name and renamed when it is whole, is locked (flock) by
 * whoever maps it, and is checked from end to end by the first to do so. What does not add
 * up stops the start: a table that was damaged must not pass for one that is empty.
 */
#include "replay/m2_replay_int.h"
#include "base/m2_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "m2m jti"
#define VERSION 1
#define BYTE_ORDER_MARK 0x01020304u
#define WAYS 16              /* slots of a bucket */
#define MEAN 10              /* of them taken when all entries are alive */
#define MIN_BUCKETS 256      /* so that small tables are bounded by their count as well */
#define WHEEL 131072         /* seconds, more than a day */
#define HEAD_AT 0
#define STATE_AT 4096
#define WHEEL_AT 8192
#define BUCKETS_AT (WHEEL_AT + WHEEL * 4)
#define STEP_BACK 300        /* seconds the clock must fall back for a recount */
#define LOCK_WAIT 2          /* seconds until a stuck lock is an unavailable store */
#define OPEN_TRIES 100       /* times 50 ms for another server to finish opening */
#define USERDATA "m2_replay_shm/1" /* name the layout: another release may find it */

typedef struct slot_t {
    apr_uint64_t id[2];
    apr_uint64_t check;
    apr_uint64_t expiry; /* first second the mark is dead */
} slot_t;

typedef struct head_t {
    char magic[8];
    apr_uint32_t version;
    apr_uint32_t order;
    apr_uint32_t entries;
    apr_uint32_t buckets;
    apr_uint64_t size;
    apr_uint64_t salt[2]; /* places of ids cannot be foretold */
    apr_uint64_t created;
    apr_uint64_t check;   /* over all before */
} head_t;

typedef struct state_t {
    pthread_mutex_t lock;
    apr_uint64_t hand;    /* second up to which the wheel has been walked */
    apr_uint64_t live;
    apr_uint64_t held;    /* slots ever used: tells zeroed pages from unused ones */
    apr_uint32_t retired; /* another table took over: no more marks here */
    apr_uint32_t clean;   /* written back on an orderly stop */
    char boot[40];        /* kernel's boot id when it was last opened */
} state_t;

/* A mapped table. Lives in the process pool, holds no pointer into code. */
typedef struct table_t {
    head_t *head;
    state_t *state;
    apr_uint32_t *wheel;
    slot_t *slots;
    apr_size_t size;
    int fd;               /* of the file, holding its lock; -1 without */
    dev_t dev;
    ino_t ino;
    char path[4096];      /* "" without */
    pid_t opener;
} table_t;

/**************************************************************************************/
/* mixing */

static apr_uint64_t fold(apr_uint64_t a, apr_uint64_t b)
{
    __extension__ typedef unsigned __int128 wide_t;
    wide_t r = (wide_t)a * b;

    return (apr_uint64_t)r ^ (apr_uint64_t)(r >> 64);
}

static apr_uint64_t slot_check(const slot_t *slot, apr_uint64_t expiry)
{
    return fold(slot->id[0] ^ 0x9e3779b97f4a7c15u, slot->id[1] ^ 0xd1b54a32d192ed03u)
           + fold(expiry ^ 0x8cb92ba72f3d8dd7u, 0xaef17502108ef2d9u);
}

static apr_uint64_t bytes_check(const void *bytes, apr_size_t n)
{
    const unsigned char *p = bytes;
    apr_uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    apr_size_t i;

    for (i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
    }
    return h;
}

/* The two buckets of an id, never the same. */
static void places(slot_t *pair[2], const table_t *table, const apr_uint64_t *id)
{
    const apr_uint64_t *salt = table->head->salt;
    apr_uint64_t n = table->head->buckets;
    apr_uint64_t a = fold(id[0] ^ salt[0], id[1] ^ salt[1]);
    apr_uint64_t b = fold(a ^ id[1], salt[0] ^ 0x9e3779b97f4a7c15u);
    apr_uint64_t first = a % n;
    apr_uint64_t second = (first + 1 + b % (n - 1)) % n;

    pair[0] = table->slots + first * WAYS;
    pair[1] = table->slots + second * WAYS;
}

/**************************************************************************************/
/* counting; the lock is held */

static void count_mark(table_t *table, apr_uint64_t expiry)
{
    state_t *state = table->state;

    if (expiry <= state->hand) {
        return; /* the clock stepped back a little: bounded by the slots alone */
    }
    if (expiry - state->hand >= WHEEL) {
        expiry = state->hand + WHEEL - 1;
    }
    table->wheel[expiry % WHEEL]++;
    state->live++;
}

static apr_uint64_t slots_of(const table_t *table)
{
    return (apr_uint64_t)table->head->buckets * WAYS;
}

static void recount(table_t *table, apr_uint64_t now)
{
    state_t *state = table->state;
    apr_uint64_t i, n = slots_of(table);

    memset(table->wheel, 0, WHEEL * sizeof(*table->wheel));
    state->hand = now;
    state->live = 0;
    state->held = 0;
    for (i = 0; i < n; i++) {
        if (table->slots[i].expiry) {
            state->held++;
            count_mark(table, table->slots[i].expiry);
        }
    }
}

static void advance(table_t *table, apr_uint64_t now)
{
    state_t *state = table->state;

    if (now + STEP_BACK < state->hand || now >= state->hand + WHEEL) {
        recount(table, now);
        return;
    }
    while (state->hand < now) {
        apr_uint32_t *ended = &table->wheel[++state->hand % WHEEL];

        state->live -= *ended;
        *ended = 0;
    }
}

/**************************************************************************************/
/* marking */

/* 0 with the lock held; the table counted anew when the last holder died with it. */
static int take_lock(table_t *table, apr_uint64_t now)
{
    struct timespec until;
    int rv = pthread_mutex_trylock(&table->state->lock);

    if (rv == EBUSY) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOCK_WAIT;
        rv = pthread_mutex_clocklock(&table->state->lock, CLOCK_MONOTONIC, &until);
    }
    if (rv == EOWNERDEAD) {
        recount(table, now);
        rv = pthread_mutex_consistent(&table->state->lock);
    }
    return rv;
}

/* What one bucket says about an id. */
typedef struct look_t {
    slot_t *room; /* a free slot, or NULL */
    int live;
    int found;
} look_t;

static void look(look_t *seen, slot_t *bucket, const apr_uint64_t *id, apr_uint64_t now)
{
    int i;

    memset(seen, 0, sizeof(*seen));
    for (i = 0; i < WAYS; i++) {
        if (bucket[i].expiry <= now) {
            seen->room = &bucket[i];
            continue;
        }
        seen->live++;
        seen->found |= bucket[i].id[0] == id[0] && bucket[i].id[1] == id[1];
    }
}

static void write_slot(table_t *table, slot_t *slot, const apr_uint64_t *id,
                       apr_uint64_t expiry)
{
    table->state->held += slot->expiry == 0;
    __atomic_store_n(&slot->expiry, 0, __ATOMIC_SEQ_CST); /* killed behind here: free */
    slot->id[0] = id[0];
    slot->id[1] = id[1];
    slot->check = slot_check(slot, expiry);
    __atomic_store_n(&slot->expiry, expiry, __ATOMIC_SEQ_CST);
}

typedef enum marked_t { MARKED, KNOWN, FULL } marked_t;

/* The lock is held, the hand is at now or ahead. */
static marked_t mark_locked(table_t *table, const apr_uint64_t *id, apr_uint64_t expiry,
                            apr_uint64_t now)
{
    slot_t *pair[2], *room;
    look_t seen[2];

    places(pair, table, id);
    look(&seen[0], pair[0], id, now);
    look(&seen[1], pair[1], id, now);
    if (seen[0].found || seen[1].found) {
        return KNOWN;
    }
    room = seen[1].live < seen[0].live ? seen[1].room : seen[0].room;
    if (!room || table->state->live >= table->head->entries) {
        return FULL;
    }
    write_slot(table, room, id, expiry);
    count_mark(table, expiry);
    return MARKED;
}

static m2_code_t shm_mark(m2_replay_t *store, const unsigned char *bytes,
                          apr_time_t expires_at, apr_time_t now, int *pfull, char *why)
{
    table_t *table = store->state;
    apr_uint64_t sec = (apr_uint64_t)apr_time_sec(now), id[2];
    apr_uint64_t expiry = (apr_uint64_t)apr_time_sec(expires_at + APR_USEC_PER_SEC - 1);
    marked_t marked = FULL;
    apr_uint32_t retired;

    memcpy(id, bytes, sizeof(id));
    if (take_lock(table, sec) != 0) {
        apr_cpystrn(why, "its lock is stuck: a process that holds it is stopped",
                    M2_REPLAY_WHY);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    retired = table->state->retired;
    if (!retired) {
        advance(table, sec);
        marked = mark_locked(table, id, expiry, sec);
    }
    pthread_mutex_unlock(&table->state->lock);
    if (retired) {
        apr_cpystrn(why, "a restart is replacing the table", M2_REPLAY_WHY);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    if (marked == FULL) {
        *pfull = 1;
        apr_snprintf(why, M2_REPLAY_WHY,
                     "is full with %u live tokens; set M2MReplayStore %s entries=%u",
                     table->head->entries, store->name, table->head->entries * 2);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    return marked == KNOWN ? M2_E_JTI_REPLAYED : M2_OK;
}

/**************************************************************************************/
/* making and mapping */

static apr_uint32_t buckets_for(apr_uint32_t entries)
{
    apr_uint32_t buckets = entries / MEAN + 1;

    return buckets < MIN_BUCKETS ? MIN_BUCKETS : buckets;
}

static apr_size_t size_for(apr_uint32_t entries)
{
    return BUCKETS_AT + (apr_size_t)buckets_for(entries) * WAYS * sizeof(slot_t);
}

static apr_uint64_t head_check(const head_t *head)
{
    return bytes_check(head, offsetof(head_t, check));
}

static int make_head(head_t *head, apr_uint32_t entries)
{
    memset(head, 0, sizeof(*head));
    memcpy(head->magic, MAGIC, sizeof(head->magic));
    head->version = VERSION;
    head->order = BYTE_ORDER_MARK;
    head->entries = entries;
    head->buckets = buckets_for(entries);
    head->size = size_for(entries);
    head->created = (apr_uint64_t)apr_time_sec(apr_time_now());
    if (getrandom(head->salt, sizeof(head->salt), 0) != (ssize_t)sizeof(head->salt)) {
        return 0;
    }
    head->check = head_check(head);
    return 1;
}

static int make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rv;

    memset(lock, 0, sizeof(*lock));
    pthread_mutexattr_init(&attr);
    rv = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    rv = rv ? rv : pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    rv = rv ? rv : pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return rv == 0;
}

static void boot_id(char *boot, apr_size_t size)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    memset(boot, 0, size);
    if (f) {
        size_t n = fread(boot, 1, size - 1, f);

        boot[n] = '\0';
        fclose(f);
    }
}

/* Map fd (or nothing, -1) of that size. */
static int map_table(table_t *table, int fd, apr_size_t size)
{
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        return 0;
    }
    table->head = (head_t *)(void *)(base + HEAD_AT);
    table->state = (state_t *)(void *)(base + STATE_AT);
    table->wheel = (apr_uint32_t *)(void *)(base + WHEEL_AT);
    table->slots = (slot_t *)(void *)(base + BUCKETS_AT);
    table->size = size;
    table->fd = fd;
    return 1;
}

static void unmap_table(table_t *table)
{
    munmap(table->head, table->size);
    if (table->fd >= 0) {
        close(table->fd); /* and with it this process's hold on the file */
    }
    table->head = NULL;
}

/* Copy what is alive in old, which is locked by the caller, to a table nobody else has. */
static int take_over(table_t *table, table_t *old, apr_uint64_t now)
{
    apr_uint64_t i, n = slots_of(old);

    for (i = 0; i < n; i++) {
        const slot_t *slot = &old->slots[i];

        if (slot->expiry > now
            && mark_locked(table, slot->id, slot->expiry, now) == FULL) {
            return 0;
        }
    }
    return 1;
}

/**************************************************************************************/
/* files */

static m2_code_t refuse(m2_err_t *err, const char *path, const char *what)
{
    return m2_err_set(err, M2_E_CONFIG,
                      "replay store %s: %s; to start with an empty table remove the file "
                      "(tokens spent before and still alive can then be used once more)",
                      path, what);
}

static m2_code_t refuse_errno(m2_err_t *err, const char *path, const char *doing)
{
    int e = errno;
    char text[128];

    return m2_err_set(err, M2_E_CONFIG, "replay store %s: cannot %s: %s", path, doing,
                      apr_strerror(e, text, sizeof(text)));
}

/* Lock the directory of path, so that one server at a time creates or opens. */
static int lock_directory(const char *path, int tries)
{
    char dir[4096];
    char *slash;
    int fd, i;

    apr_cpystrn(dir, path, sizeof(dir));
    slash = strrchr(dir, '/');
    if (!slash) {
        apr_cpystrn(dir, ".", sizeof(dir));
    }
    else {
        slash[slash == dir] = '\0';
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (i = 0; fd >= 0 && i < tries; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return fd;
        }
        if (i + 1 < tries) {
            usleep(50000);
        }
    }
    if (fd >= 0) {
        close(fd);
        errno = EWOULDBLOCK;
    }
    return -1;
}

/* Whether no other server has the file. The directory is locked by the caller, since the
 * hold on the file is let go for a moment. */
static int is_alone(int fd)
{
    int alone = flock(fd, LOCK_EX | LOCK_NB) == 0;

    return flock(fd, LOCK_SH) == 0 && alone;
}

/* What is wrong with a head read from a file of that size, or NULL. */
static const char *head_fault(const head_t *head, apr_uint64_t size)
{
    if (memcmp(head->magic, MAGIC, sizeof(head->magic)) != 0) {
        return "the file is no replay table";
    }
    if (head->version != VERSION || head->order != BYTE_ORDER_MARK) {
        return "the file was made by another release or kind of machine";
    }
    if (head->check != head_check(head) || head->size != size_for(head->entries)
        || head->buckets != buckets_for(head->entries)) {
        return "the file is damaged (head)";
    }
    return head->size == size ? NULL : "the file is damaged (size)";
}

/* Whether every slot is whole, and none that was used has become unused. */
static const char *slots_fault(const table_t *table, int crashed)
{
    apr_uint64_t i, n = slots_of(table), held = 0;

    for (i = 0; i < n; i++) {
        const slot_t *slot = &table->slots[i];

        if (slot->expiry && slot->check != slot_check(slot, slot->expiry)) {
            return "the file is damaged (slots)";
        }
        held += slot->expiry != 0;
    }
    /* one less: its process was killed between the two stores of write_slot */
    return held + 1 >= table->state->held || crashed ? NULL : "the file is damaged (count)";
}

/* The one that holds the file alone makes it good for use. */
static m2_code_t check_and_reset(table_t *table, m2_err_t *err)
{
    char boot[sizeof(table->state->boot)];
    const char *fault;
    int crashed;

    boot_id(boot, sizeof(boot));
    crashed = !table->state->clean && memcmp(boot, table->state->boot, sizeof(boot)) != 0;
    if ((fault = slots_fault(table, crashed)) != NULL) {
        return refuse(err, table->path, fault);
    }
    if (crashed) {
        m2_log(M2_LOG_WARNING,
               "replay store %s: the machine stopped without an orderly stop of the server; "
               "tokens spent in the last half minute before may be accepted once more",
               table->path);
    }
    if (!make_lock(&table->state->lock)) {
        return refuse_errno(err, table->path, "make its lock");
    }
    recount(table, (apr_uint64_t)apr_time_sec(apr_time_now()));
    memcpy(table->state->boot, boot, sizeof(boot));
    table->state->clean = 0;
    table->state->retired = 0;
    return M2_OK;
}

/* A whole, empty table under a name of its own; the caller renames it. */
static m2_code_t create_file(table_t *table, const char *path, const char *temp,
                             const m2_replay_spec_t *spec, m2_err_t *err)
{
    apr_size_t size = size_for(spec->entries);
    int fd, rv;

    unlink(temp); /* left by one that was killed here; the directory is locked */
    fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return refuse_errno(err, path, "create the file");
    }
    if ((rv = posix_fallocate(fd, 0, (off_t)size)) != 0) { /* a hole could be a SIGBUS */
        errno = rv;
    }
    if (rv != 0 || (spec->owner_set && geteuid() == 0
                    && fchown(fd, spec->owner_uid, spec->owner_gid) != 0)
        || flock(fd, LOCK_SH) != 0 || !map_table(table, fd, size)) {
        refuse_errno(err, path, "create the file");
        close(fd);
        unlink(temp);
        return M2_E_CONFIG;
    }
    apr_cpystrn(table->path, path, sizeof(table->path));
    if (!make_head(table->head, spec->entries)) {
        return refuse_errno(err, path, "get random bytes");
    }
    table->state->clean = 1; /* a new one was in no crash */
    return check_and_reset(table, err);
}

static m2_code_t rename_file(table_t *table, const char *path, const char *temp,
                             m2_err_t *err)
{
    struct stat st;

    if (msync(table->head, table->size, MS_SYNC) != 0 || fsync(table->fd) != 0
        || fstat(table->fd, &st) != 0 || rename(temp, path) != 0) {
        return refuse_errno(err, path, "write the file");
    }
    table->dev = st.st_dev;
    table->ino = st.st_ino;
    return M2_OK;
}

/* Open and map what is there. *palone: nobody else has it. */
static m2_code_t map_file(table_t *table, int *palone, const char *path,
                          const m2_replay_spec_t *spec, m2_err_t *err)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    head_t head;
    const char *fault = "the file is damaged (size)";

    if (fd < 0 || fstat(fd, &st) != 0) {
        return refuse_errno(err, path, "open the file");
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077)
        || (st.st_uid != geteuid() && !(spec->owner_set && st.st_uid == spec->owner_uid))) {
        close(fd);
        return refuse(err, path, "it must be a file with mode 0600 that belongs to User");
    }
    *palone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if ((!*palone && flock(fd, LOCK_SH) != 0)
        || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head)
        || (fault = head_fault(&head, (apr_uint64_t)st.st_size)) != NULL) {
        close(fd);
        return refuse(err, path, fault ? fault : "it cannot be locked");
    }
    if (!map_table(table, fd, (apr_size_t)head.size)) {
        close(fd);
        return refuse_errno(err, path, "map the file");
    }
    apr_cpystrn(table->path, path, sizeof(table->path));
    table->dev = st.st_dev;
    table->ino = st.st_ino;
    if (*palone && check_and_reset(table, err) != M2_OK) {
        unmap_table(table);
        return M2_E_CONFIG;
    }
    return M2_OK;
}

/* Replace a table by one of another size that holds what is alive in it. */
static m2_code_t resize_file(table_t *table, table_t *old, const m2_replay_spec_t *spec,
                             m2_err_t *err)
{
    char temp[sizeof(table->path) + 8];
    apr_uint64_t now = (apr_uint64_t)apr_time_sec(apr_time_now());
    m2_code_t code;

    apr_snprintf(temp, sizeof(temp), "%s.new", spec->path);
    code = create_file(table, spec->path, temp, spec, err);
    if (code == M2_OK && old && !take_over(table, old, now)) {
        code = m2_err_set(err, M2_E_CONFIG,
                          "replay store %s: entries=%u is less than the tokens alive in the "
                          "table it is to replace", spec->path, spec->entries);
    }
    if (code == M2_OK) {
        code = rename_file(table, spec->path, temp, err);
    }
    if (code != M2_OK && table->head) {
        unlink(temp);
        unmap_table(table);
    }
    return code;
}

/* The file of the spec, created or opened, with its directory locked by the caller. */
static m2_code_t open_file(table_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    table_t found;
    struct stat st;
    int alone = 0;
    m2_code_t code;

    if (lstat(spec->path, &st) != 0) {
        return errno == ENOENT ? resize_file(table, NULL, spec, err)
                               : refuse_errno(err, spec->path, "look at the file");
    }
    memset(&found, 0, sizeof(found));
    if ((code = map_file(&found, &alone, spec->path, spec, err)) != M2_OK) {
        return code;
    }
    if (found.head->entries == spec->entries) {
        *table = found;
        return !alone || flock(found.fd, LOCK_SH) == 0
                   ? M2_OK
                   : refuse_errno(err, spec->path, "lock the file");
    }
    if (!alone) {
        code = m2_err_set(err, M2_E_CONFIG,
                          "replay store %s: another server uses the file with entries=%u",
                          spec->path, found.head->entries);
    }
    else {
        code = resize_file(table, &found, spec, err);
    }
    unmap_table(&found);
    return code;
}

static m2_code_t open_locked(table_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    m2_code_t code;
    int dir;

    if (strlen(spec->path) >= sizeof(table->path) - 8) {
        return m2_err_set(err, M2_E_CONFIG, "replay store: the path is too long");
    }
    dir = lock_directory(spec->path, OPEN_TRIES);
    if (dir < 0) {
        return refuse_errno(err, spec->path, "lock the directory of the file");
    }
    code = open_file(table, spec, err);
    close(dir);
    return code;
}

/**************************************************************************************/
/* opening; a table stays with the process over graceful restarts */

static m2_code_t open_memory(table_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    if (!map_table(table, -1, size_for(spec->entries))) {
        return refuse_errno(err, "shm", "get the memory");
    }
    if (!make_head(table->head, spec->entries) || !make_lock(&table->state->lock)) {
        return refuse_errno(err, "shm", "make the table");
    }
    table->state->hand = table->head->created;
    return M2_OK;
}

/* Whether the process's table is what spec asks for. */
static int still_right(const table_t *table, const m2_replay_spec_t *spec)
{
    struct stat st;

    if (!table->head || table->head->entries != spec->entries
        || !m2_slice_is(m2_slice_z(spec->path ? spec->path : ""), table->path)) {
        return 0;
    }
    if (spec->path && (lstat(spec->path, &st) != 0 || st.st_dev != table->dev
                       || st.st_ino != table->ino)) {
        m2_log(M2_LOG_WARNING,
               "replay store %s: the file was removed or replaced while in use; the table "
               "in use goes on, the file counts from the next stop and start on",
               spec->path);
    }
    return 1;
}

/* The file the process has in use, in another size. */
static m2_code_t resize_in_use(table_t *table, table_t *old, const m2_replay_spec_t *spec,
                               m2_err_t *err)
{
    int dir = lock_directory(spec->path, OPEN_TRIES);
    m2_code_t code;

    if (dir < 0) {
        return refuse_errno(err, spec->path, "lock the directory of the file");
    }
    code = is_alone(old->fd) ? resize_file(table, old, spec, err)
                             : m2_err_set(err, M2_E_CONFIG,
                                          "replay store %s: another server uses the file "
                                          "with entries=%u", spec->path, old->head->entries);
    close(dir);
    return code;
}

/* Another place for the same marks. */
static m2_code_t move_table(table_t *table, table_t *old, const m2_replay_spec_t *spec,
                            m2_err_t *err)
{
    apr_uint64_t now = (apr_uint64_t)apr_time_sec(apr_time_now());
    m2_code_t code = spec->path ? open_locked(table, spec, err)
                                : open_memory(table, spec, err);

    if (code != M2_OK) {
        return code;
    }
    if (take_lock(table, now) != 0) { /* a file may have other users */
        return m2_err_set(err, M2_E_CONFIG, "replay store: the lock of the table is stuck");
    }
    advance(table, now);
    if (!take_over(table, old, now)) {
        code = m2_err_set(err, M2_E_CONFIG,
                          "replay store: entries=%u is less than the tokens alive",
                          spec->entries);
    }
    pthread_mutex_unlock(&table->state->lock);
    return code;
}

/* Another table for the same process: children that still serve with the old one are told
 * to refuse before its marks can be missed, so no token is accepted in both. */
static m2_code_t replace(table_t *table, table_t *old, const m2_replay_spec_t *spec,
                         m2_err_t *err)
{
    m2_code_t code;

    if (take_lock(old, (apr_uint64_t)apr_time_sec(apr_time_now())) != 0) {
        return m2_err_set(err, M2_E_CONFIG, "replay store: the lock of the table is stuck");
    }
    if (spec->path && m2_slice_is(m2_slice_z(spec->path), old->path)) {
        code = resize_in_use(table, old, spec, err);
    }
    else {
        code = move_table(table, old, spec, err);
    }
    old->state->retired = code == M2_OK;
    pthread_mutex_unlock(&old->state->lock);
    return code;
}

/* An orderly end of this configuration: what is in memory goes to the disk. */
static apr_status_t write_back(void *baton)
{
    table_t *table = baton;
    int dir;

    if (!table->head || table->fd < 0 || table->opener != getpid()) {
        return APR_SUCCESS;
    }
    dir = lock_directory(table->path, 1);
    table->state->clean = dir >= 0 && is_alone(table->fd);
    msync(table->head, table->size, MS_SYNC);
    if (dir >= 0) {
        close(dir);
    }
    return APR_SUCCESS;
}

static m2_code_t shm_open_table(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                                m2_err_t *err)
{
    const m2_replay_spec_t *spec = store->spec;
    table_t *kept = NULL, table;
    void *data = NULL;
    m2_code_t code = M2_OK;

    memset(&table, 0, sizeof(table));
    apr_pool_userdata_get(&data, USERDATA, process);
    kept = data;
    if (!kept) {
        kept = apr_pcalloc(process, sizeof(*kept));
        /* the key is copied: the text of a module does not survive a restart */
        apr_pool_userdata_set(kept, USERDATA, NULL, process);
    }
    if (!still_right(kept, spec)) {
        if (kept->head) {
            code = replace(&table, kept, spec, err);
        }
        else {
            code = spec->path ? open_locked(&table, spec, err)
                              : open_memory(&table, spec, err);
        }
        if (code != M2_OK) {
            return code;
        }
        if (kept->head) {
            unmap_table(kept); /* children have their own mapping of it */
        }
        *kept = table;
    }
    kept->opener = getpid();
    kept->state->clean = 0;
    store->state = kept;
    apr_pool_cleanup_register(pool, kept, write_back, apr_pool_cleanup_null);
    return M2_OK;
}

static m2_code_t shm_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    (void)store; /* the mapping was inherited */
    (void)pool;
    (void)err;
    return M2_OK;
}

static void shm_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    const table_t *table = store->state;

    stats->entries = table->head->entries;
    stats->live = __atomic_load_n(&table->state->live, __ATOMIC_RELAXED);
    stats->bytes = table->size;
}

const m2_replay_impl_t m2_replay_shm = { "shm", shm_open_table, shm_attach, shm_mark,
                                         shm_stats };
