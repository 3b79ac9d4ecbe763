-- SPDX-License-Identifier: Apache-2.0
-- Copyright The mod_m2mgw authors
--
-- Tables of mod_m2mgw and mod_m2m_issuer for PostgreSQL 9.5 and later. See docs/many-machines.md.

-- M2MReplayStore dbd: and M2MAssertionStore dbd:. The gateway inserts and deletes:
--   GRANT INSERT, SELECT, DELETE ON m2m_replay TO gateway;
-- (DELETE ... WHERE needs SELECT.) Synchronous commit is what makes a token that was accepted
-- stay spent after a crash; with synchronous standbys also after a failover.
CREATE TABLE m2m_replay (
    id      TEXT PRIMARY KEY,
    expires BIGINT NOT NULL
);
CREATE INDEX m2m_replay_expires ON m2m_replay (expires);

-- M2MGrantQuery "SELECT audience, permission FROM m2m_grants WHERE client = %s"
CREATE TABLE m2m_grants (
    client     TEXT NOT NULL,
    audience   TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (client, audience, permission)
);

-- M2MDataset NAME dbd:"SELECT value, expires FROM m2m_dataset WHERE name = 'NAME'"
CREATE TABLE m2m_dataset (
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    expires BIGINT,
    PRIMARY KEY (name, value)
);
