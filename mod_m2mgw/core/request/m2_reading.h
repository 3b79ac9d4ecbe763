/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How backends read the names that a client sends: what separates them, what is decoded, what is
 * folded, what is left out and what is cut off. One table (m2_reading.c) for all code that
 * compares a client's name with a configured one: scrubbing, the search for tokens, rules,
 * m2mctl. It is meant to be too wide: a name counts as ours when some backend may take it for
 * ours.
 *
 * A client's name is read into keys, of which each is the name to somebody:
 *
 *     Client.Id[x]    ->  client_id_x]   as it stands, folded
 *                         client_id      without anything from the bracket on (PHP, Rack, qs)
 *                         client         without anything from the dot on (qs with dots)
 *     %20%EF%BB%BF_a  ->  _a, and __a    a leading blank is dropped or counts as '_'
 *
 * A configured name is only folded. Both are the same where one key is the configured name.
 */
#ifndef M2_READING_H
#define M2_READING_H

#include "text/m2_form.h"

/* Where names stand. ORDER READING: the table of readers in m2_reading.c. */
typedef enum m2_reading_t {
    M2_READ_FORM,   /* a query string or an urlencoded body */
    M2_READ_COOKIE, /* the value of a Cookie header */
    M2_READ_HEADER, /* header fields */
    M2_READINGS
} m2_reading_t;

#define M2_MAX_NAME 255    /* bytes of a configured name: room on the stack for reading one */
#define M2_SPELLINGS 12    /* keys of one name: whole, cut at four places, each trimmed, and
                              four with an index in brackets */

/* a configured name, folded */
typedef struct m2_name_t {
    const char *text;    /* as it was configured; borrowed */
    m2_slice_t folded;
    apr_size_t lead;     /* how many '_' it begins with */
} m2_name_t;

/* how a client's name may be read */
typedef struct m2_spelling_t {
    const char *p;     /* folded, of which each key is the first n bytes; without its lead */
    apr_size_t lead;   /* characters in front that are dropped or count as '_' */
    int n;
    struct {
        apr_size_t n;
        apr_uint32_t hash; /* m2_name_hash of it */
    } keys[M2_SPELLINGS];
} m2_spelling_t;

/** Whether c separates pairs to some backend. */
int m2_reading_separates(m2_reading_t reading, char c);

/** Fold a configured name into room, which has strlen(text) + 1 bytes. */
m2_name_t m2_name_fold(char *room, const char *text, m2_reading_t reading);

/** The hash of a folded name, by which sets are searched. */
apr_uint32_t m2_name_hash(m2_slice_t folded);

/** A configured name of which nothing is left when what some leave out is gone, or which is
 *  longer than M2_MAX_NAME: it cannot be told from others. */
int m2_name_is_unfit(const char *text, m2_reading_t reading);

/**
 * Read a client's raw name in one of several ways: way 0, then 1 and so on, until the answer
 * is 0. room is for the folded name; keys that do not fit into size bytes are left out, so
 * raw.n bytes are always enough.
 */
int m2_spell(m2_spelling_t *spelling, char *room, apr_size_t size, m2_slice_t raw,
             m2_reading_t reading, int way);

/** Whether some backend takes raw for name, which is at most M2_MAX_NAME bytes. */
int m2_name_like(m2_slice_t raw, const char *name, m2_reading_t reading);

/** Whether two configured names, of which neither is longer than M2_MAX_NAME, can be one name
 *  of a client. */
int m2_name_same(const char *a, const char *b, m2_reading_t reading);

/** Header names: equal in any case, where every character other than letters and digits
 *  counts as '_' (CGI-style backends fold them so). */
int m2_header_name_like(const char *a, const char *b);

/** One byte of a header's name, folded. */
unsigned char m2_header_fold(unsigned char c);

#endif /* M2_READING_H */
