/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Claim paths: names with dots in them, and JSON Pointers. A dot may stand in a name
 * (`https://idp.example/claims`) or between two, so the longest name that leads to a value
 * wins and shorter ones are tried after it.
 */
#include "text/m2_json_int.h"

/* JSON null is not a value. */
static const m2_json_t *value_of(const m2_member_t *member)
{
    return member && member->value->type != M2_JSON_NULL ? member->value : NULL;
}

/* The last dot before end, or NULL. */
static const char *dot_before(const char *path, const char *end)
{
    while (end > path && *--end != '.') {
    }
    return end > path ? end : NULL;
}

/* Recurses once for each object on the way, and no deeper than the document. */
static const m2_json_t *walk_names(const m2_json_t *json, const char *path)
{
    const char *end = path + strlen(path);
    const m2_json_t *found = value_of(m2_json_member(json, m2_slice_z(path)));

    while (!found && (end = dot_before(path, end)) != NULL) {
        const m2_json_t *inner =
            value_of(m2_json_member(json, m2_slice(path, (apr_size_t)(end - path))));

        if (inner && inner->type == M2_JSON_OBJECT) {
            found = walk_names(inner, end + 1);
        }
    }
    return found;
}

/* --- JSON Pointers (RFC 6901) --- */

/* Whether name is what one reference token of a pointer says; `~1` is a slash, `~0` a tilde. */
static int is_token(const m2_member_t *member, m2_slice_t token)
{
    apr_size_t i, k;

    for (i = k = 0; i < token.n && k < member->name_n; i++, k++) {
        char c = token.p[i];

        if (c == '~' && i + 1 < token.n) {
            c = (char)(token.p[++i] == '1' ? '/' : '~');
        }
        if (c != member->name[k]) {
            return 0;
        }
    }
    return i == token.n && k == member->name_n;
}

/* RFC 6901 4: digits without a zero in front. */
static const m2_json_t *element_of(const m2_json_t *array, m2_slice_t token)
{
    apr_size_t at = 0, i;

    if (!token.n || token.n > 6 || (token.n > 1 && token.p[0] == '0')) {
        return NULL;
    }
    for (i = 0; i < token.n; i++) {
        if (!apr_isdigit(token.p[i])) {
            return NULL;
        }
        at = at * 10 + (apr_size_t)(token.p[i] - '0');
    }
    return m2_json_at(array, at);
}

static const m2_json_t *step(const m2_json_t *json, m2_slice_t token)
{
    const m2_member_t *member = m2_json_iter(json);

    if (m2_json_type(json) == M2_JSON_ARRAY) {
        return element_of(json, token);
    }
    while (member && !is_token(member, token)) {
        member = member->next;
    }
    return member ? member->value : NULL;
}

static const m2_json_t *follow(const m2_json_t *json, const char *pointer)
{
    while (json && *pointer) {
        const apr_size_t n = strcspn(++pointer, "/");

        json = step(json, m2_slice(pointer, n));
        pointer += n;
    }
    return m2_json_type(json) == M2_JSON_NULL ? NULL : json;
}

/* --- both --- */

const m2_json_t *m2_json_path(const m2_json_t *json, const char *path)
{
    return *path == '/' ? follow(json, path) : walk_names(json, path);
}

m2_code_t m2_json_path_check(const char *path, m2_err_t *err)
{
    const char *p;

    if (!*path) {
        return m2_err_set(err, M2_E_CONFIG, "the name of a claim is empty");
    }
    for (p = path; *path == '/' && *p; p++) {
        if (*p == '~' && p[1] != '0' && p[1] != '1') {
            return m2_err_set(err, M2_E_CONFIG,
                              "\"%s\" is not a JSON Pointer: ~ must be followed by 0 or 1", path);
        }
    }
    return M2_OK;
}
