/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a request is held against: a policy as the gate takes it, from options, from files, or
 * of one section of a dump (`httpd -t -D DUMP_M2M_JSON`).
 */
#ifndef M2MCTL_FORCE_H
#define M2MCTL_FORCE_H

#include "ctl/m2mctl_verb.h"

#include "operation/m2_operation.h"

typedef enum m2mctl_unknown_t { /* M2MOperationUnknown */
    M2MCTL_UNKNOWN_DENY,
    M2MCTL_UNKNOWN_NOT_FOUND,
    M2MCTL_UNKNOWN_PASS
} m2mctl_unknown_t;

typedef struct m2mctl_dataset_t {
    const char *name;
    const char *path;
} m2mctl_dataset_t;

/* Zeroed, then filled. */
struct m2mctl_force_t {
    m2_policy_t policy;
    const m2_keyset_t *keys;    /* NULL: none were given */
    apr_array_header_t *tokens; /* of m2_token_source_t; NULL: Authorization */
    apr_time_t now;
    const char *section;        /* of a dump; NULL: options */
    const char *closed;         /* why every request is refused; NULL: open */
    const char *unread;         /* a source whose keys a dump does not have; NULL: none */
    int off;                    /* nothing is in force there */
    int shadow;                 /* M2MEngine Shadow */
    int gateway;                /* M2MErrorProfile gateway */
    int path_guard_off;
    m2mctl_guard_t guard;       /* the sections of its virtual host */
    const m2_operations_t *operations; /* NULL: none */
    m2mctl_unknown_t unknown;
    int preflight;              /* M2MPreflight Pass */
    int limits;                 /* how many there are; they are not counted here */
    const char *stage, *api_name; /* NULL: not said */
    const apr_array_header_t *public_urls; /* M2MPublicURL; NULL: none */
    const char *server_name;    /* of the section's server, NULL: options */
    int server_port;            /* 0: that of the scheme */
    const char *cert_header;    /* M2MClientCertificate header:; NULL: the connection's */
    const apr_array_header_t *cert_from; /* of apr_ipsubnet_t * */
    apr_array_header_t *datasets; /* of m2mctl_dataset_t: files that a dump names; or NULL */
};

/** The policy of the section of a dump that covers location (a path, or a section's opening
 *  line), in that virtual host (NULL: any, if only one has such a section). force is zeroed
 *  first; its keys are those of the section, added to keys. 0, or M2MCTL_USAGE after saying
 *  why. */
int m2mctl_dump(m2mctl_force_t *force, m2mctl_t *ctl, const char *file, const char *location,
                const char *vhost, m2_keyset_t *keys);

/** One more of those files; its texts are not copied. */
void m2mctl_dataset_add(apr_array_header_t *files, const char *name, const char *path);

/** Read the data sets that the conditions of force name: those of options (NAME=FILE, may be
 *  NULL), else those of its dump. Once its rules are complete. 0, or M2MCTL_USAGE after saying
 *  why. */
int m2mctl_datasets(m2mctl_force_t *force, m2mctl_t *ctl, const apr_array_header_t *options);

/** Whether a text looks like a dump. */
int m2mctl_is_dump(m2_slice_t text);

#endif /* M2MCTL_FORCE_H */
