/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What it costs to read a request as every backend would, in microseconds of CPU:
 *
 *   read names N    4,000 pairs of a query looked through for 200 mapped names
 *   read rules N    500 rules over 10,000 declared parameters, a query of 400 pairs
 *   read plain N    a plain GET: its path among 1,000 protected prefixes, 8 header fields
 *                   looked up among 200 names
 *
 * N times over; the mean is printed. What a plain GET costs without any of it is nothing, so
 * that the last figure is what the readings add to every request.
 */
#include "gate/m2_gate.h"
#include "request/m2_path_guard.h"
#include "rules/m2_answer.h"

#include <apr_general.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NAMES 200
#define PAIRS 4000
#define RULES 500
#define PARAMETERS 10000
#define RULE_PAIRS 400
#define PREFIXES 1000

static apr_pool_t *pool;
static m2_err_t err;

static void must(m2_code_t code)
{
    if (code != M2_OK) {
        fprintf(stderr, "read: %s\n", err.text ? err.text : "failed");
        exit(1);
    }
}

static char *pairs(int n)
{
    char *text = apr_pcalloc(pool, (apr_size_t)n * 32), *p = text;
    int i;

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%sparam_%d=value%d", i ? "&" : "", i, i);
    }
    return text;
}

static m2_nameset_t *names_of(m2_reading_t reading)
{
    m2_nameset_t *names = m2_nameset_make(pool, reading);
    int i;

    for (i = 0; i < NAMES; i++) {
        m2_nameset_add(names, apr_psprintf(pool, "X-Claim-Name-%d", i));
    }
    return names;
}

/* --- the scenarios: prepare once, run with a pool of its own --- */

static struct {
    const char *text;
    m2_nameset_t *names;
    m2_policy_t policy;
    m2_path_table_t *table;
} it;

static int is_one(const void *names, m2_slice_t raw)
{
    return m2_nameset_find(names, raw) != NULL;
}

static void prepare_names(void)
{
    it.names = names_of(M2_READ_FORM);
    it.text = pairs(PAIRS);
}

static void run_names(apr_pool_t *p)
{
    if (m2_nameset_remove(p, it.text, is_one, it.names) != it.text) {
        abort();
    }
}

static void prepare_rules(void)
{
    m2_rules_t *rules = m2_rules_make(pool);
    int i;

    for (i = 0; i < PARAMETERS; i++) {
        must(m2_params_declare(rules->params, apr_psprintf(pool, "p%d", i),
                               apr_psprintf(pool, "Query:param_%d", i), &err));
    }
    for (i = 0; i < RULES; i++) {
        m2_rule_t *rule;

        must(m2_rule_make(&rule, rules, apr_psprintf(pool, "rule%d", i),
                          apr_psprintf(pool, "$p%d = 'other'", i * (PARAMETERS / RULES)), &err));
        must(m2_rule_option(rule, rules, "ifTrue", "DENY", M2_MARK_PERCENT, &err));
        must(m2_rules_add(rules, rule, &err));
    }
    it.policy.rules = rules;
    it.text = pairs(RULE_PAIRS);
}

static void run_rules(apr_pool_t *p)
{
    m2_verdict_t *verdict = apr_pcalloc(p, sizeof(*verdict));
    m2_answers_t *answers = apr_pcalloc(p, sizeof(*answers));
    m2_facts_t facts;

    memset(&facts, 0, sizeof(facts));
    answers->request.pool = facts.pool = p;
    answers->request.query = it.text;
    answers->request.headers = answers->request.env = apr_table_make(p, 1);
    answers->deny_duplicates = 1;
    facts.lookup = m2_answer;
    facts.baton = answers;
    facts.params = it.policy.rules->params;
    m2_err_init(&verdict->err, p);
    must(m2_gate_rules(verdict, &it.policy, &facts));
}

static void prepare_plain(void)
{
    int i;

    it.names = names_of(M2_READ_HEADER);
    it.table = m2_path_table_make(pool);
    for (i = 0; i < PREFIXES; i++) {
        m2_path_table_add(it.table, apr_psprintf(pool, "/service%d/api", i))->what = &it;
    }
    m2_path_table_seal(it.table);
}

static void run_plain(apr_pool_t *p)
{
    static const char *const fields[] = {
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Authorization",
        "Connection", "X-Request-Id",
    };
    static const char path[] = "/service500/api/orders/12";
    char folded[sizeof(path)];
    apr_size_t i;

    (void)p;
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (m2_nameset_find(it.names, m2_slice_z(fields[i]))) {
            abort();
        }
    }
    if (m2_path_marks(path) || !m2_path_fold_into(folded, sizeof(folded), path)
        || !m2_path_table_find(it.table, folded)) {
        abort();
    }
}

static const struct scenario_t {
    const char *name;
    void (*prepare)(void);
    void (*run)(apr_pool_t *p);
} scenarios[] = {
    { "names", prepare_names, run_names },
    { "rules", prepare_rules, run_rules },
    { "plain", prepare_plain, run_plain },
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int measure(const struct scenario_t *scenario, int n)
{
    apr_pool_t *p;
    double began;
    int i;

    apr_pool_create(&p, pool);
    scenario->prepare();
    scenario->run(p); /* warm */
    began = seconds();
    for (i = 0; i < n; i++) {
        apr_pool_clear(p);
        scenario->run(p);
    }
    printf("%.3f\n", (seconds() - began) * 1e6 / n);
    return 0;
}

int main(int argc, char **argv)
{
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
    for (i = 0; argc == 3 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (m2_slice_is(m2_slice_z(argv[1]), scenarios[i].name) && atoi(argv[2]) > 0) {
            return measure(&scenarios[i], atoi(argv[2]));
        }
    }
    fprintf(stderr, "usage: read names|rules|plain N\n");
    return 2;
}
