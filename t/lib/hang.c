/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Loaded before httpd's libraries by hangs.t: while the file M2MGW_HANG is there, who reads a key
 * in another thread than the first one hangs, until the process is behind all its exit handlers.
 * Then it goes on, and the process stays for a second: long enough to crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int fromdata_fn(void *ctx, void **pkey, int selection, void *params);

static int hangs, goes_on;

static int is_first(void)
{
    return gettid() == getpid();
}

static void hang(const char *file)
{
    char name[4096];
    FILE *mark;

    snprintf(name, sizeof(name), "%s.%d", file, (int)getpid());
    __atomic_store_n(&hangs, 1, __ATOMIC_SEQ_CST);
    if ((mark = fopen(name, "w")) != NULL) {
        fclose(mark);
    }
    while (!__atomic_load_n(&goes_on, __ATOMIC_SEQ_CST)) {
        usleep(10000);
    }
}

/* found in the place of OpenSSL's, by its name */
int fromdata_or_hang(void *ctx, void **pkey, int selection, void *params)
    __asm__("EVP_PKEY_fromdata");

int fromdata_or_hang(void *ctx, void **pkey, int selection, void *params)
{
    const char *file = getenv("M2MGW_HANG");
    void *crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NOLOAD);
    fromdata_fn *fn;

    *(void **)&fn = dlsym(crypto ? crypto : RTLD_NEXT, "EVP_PKEY_fromdata");
    if (file && !is_first() && access(file, F_OK) == 0) {
        hang(file);
    }
    return fn(ctx, pkey, selection, params);
}

__attribute__((destructor)) static void go_on(void)
{
    if (__atomic_load_n(&hangs, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&goes_on, 1, __ATOMIC_SEQ_CST);
        sleep(1);
    }
}
