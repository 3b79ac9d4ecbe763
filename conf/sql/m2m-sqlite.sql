-- SPDX-License-Identifier: Apache-2.0
-- Copyright The mod_m2mgw authors
--
-- Tables of mod_m2mgw and mod_m2m_issuer for SQLite 3.24 and later, on one machine. See
-- docs/many-machines.md. The file and its directory have to belong to httpd's User.

-- readers and the one writer do not wait for each other
PRAGMA journal_mode = WAL;

-- M2MReplayStore dbd: and M2MAssertionStore dbd:
CREATE TABLE m2m_replay (
    id      TEXT PRIMARY KEY,
    expires BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX m2m_replay_expires ON m2m_replay (expires);

-- M2MGrantQuery "SELECT audience, permission FROM m2m_grants WHERE client = %s"
CREATE TABLE m2m_grants (
    client     TEXT NOT NULL,
    audience   TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (client, audience, permission)
) WITHOUT ROWID;

-- M2MDataset NAME dbd:"SELECT value, expires FROM m2m_dataset WHERE name = 'NAME'"
CREATE TABLE m2m_dataset (
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    expires BIGINT,
    PRIMARY KEY (name, value)
) WITHOUT ROWID;
