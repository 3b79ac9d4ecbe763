/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A main() for a fuzz target where there is no libFuzzer: feeds it every file of the
 * directories (or files) named on the command line, one after the other, and says in TAP
 * how many that were. A run that was fed nothing fails: an empty corpus guards nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* every target defines it; the name is libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_BYTES 4096
#define INPUT_BYTES (16 * 1024 * 1024) /* no corpus file is near it; a wrong path may be */

static void die(const char *what, const char *path)
{
    printf("Bail out! %s: %s\n", what, path);
    exit(2);
}

/* The copy has exactly the size of the file, so that ASan sees one byte too far. */
static void feed_file(const char *path, long size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);

    if (!file || !data || fread(data, 1, (size_t)size, file) != (size_t)size) {
        die("cannot read", path);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

static unsigned feed(const char *path);

static unsigned feed_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char inner[PATH_BYTES];
    unsigned fed = 0;

    if (!dir) {
        die("cannot open", path);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name) >= PATH_BYTES) {
            die("path too long", path);
        }
        fed += feed(inner);
    }
    closedir(dir);
    return fed;
}

static unsigned feed(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        die("no such input", path);
    }
    if (S_ISDIR(info.st_mode)) {
        return feed_dir(path);
    }
    if (info.st_size > INPUT_BYTES) {
        die("too large", path);
    }
    feed_file(path, (long)info.st_size);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned fed = 0;

    for (int i = 1; i < argc; i++) {
        fed += feed(argv[i]);
    }
    printf("1..1\n%sok 1 - %u inputs replayed\n", fed ? "" : "not ", fed);
    return fed ? 0 : 1;
}
