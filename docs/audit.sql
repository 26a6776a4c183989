-- Questions that an auditor asks of the tables which `gristmill export` writes. Load them first:
--
--   for t in blocks txs events; do gristmill export $t --format csv --out export; done
--   sqlite3 audit.db '.import --csv export/blocks.csv blocks' \
--       '.import --csv export/txs.csv txs' '.import --csv export/events.csv events'
--   sqlite3 audit.db < docs/audit.sql
--
-- Amounts are grains, whole numbers below 2^63. Export all three over the same heights (--blocks).

-- Heights that are missing or there twice: no row.
SELECT a.height FROM blocks AS a
LEFT JOIN blocks AS b ON CAST(b.height AS INTEGER) = CAST(a.height AS INTEGER) + 1
WHERE (b.height IS NULL AND CAST(a.height AS INTEGER) < (SELECT max(CAST(height AS INTEGER)) FROM blocks))
UNION ALL
SELECT height FROM blocks GROUP BY height HAVING count(*) <> 1;

-- Blocks that do not follow the one below: no row.
SELECT b.height FROM blocks AS b
JOIN blocks AS a ON CAST(b.height AS INTEGER) = CAST(a.height AS INTEGER) + 1
WHERE b.parent_hash <> a.hash;

-- Transactions that are in the chain twice: no row.
SELECT hash FROM txs GROUP BY hash HAVING count(*) > 1;

-- Signers whose nonces have a gap: no row, when the export begins at block 0.
SELECT signer FROM txs GROUP BY signer
HAVING max(CAST(nonce AS INTEGER)) + 1 <> count(*);

-- Fees that were paid but not shared out: no row.
SELECT paid.grains AS paid, shared.grains AS shared
FROM (SELECT coalesce(sum(CAST(fee AS INTEGER)), 0) AS grains FROM txs) AS paid,
     (SELECT coalesce(sum(json_extract(fields, '$.burned') + json_extract(fields, '$.treasury')
                 + json_extract(fields, '$.share') + json_extract(fields, '$.tips')), 0) AS grains
      FROM events WHERE event = 'TransactionPayment.FeesShared') AS shared
WHERE paid.grains <> shared.grains;

-- Grains burned by fees that no event of burning has: no row.
SELECT fees.grains AS fees, burned.grains AS burned
FROM (SELECT coalesce(sum(CAST(json_extract(fields, '$.burned') AS INTEGER)), 0) AS grains
      FROM events WHERE event = 'TransactionPayment.FeesShared') AS fees,
     (SELECT coalesce(sum(CAST(json_extract(fields, '$.amount') AS INTEGER)), 0) AS grains
      FROM events WHERE event = 'Balances.Burned') AS burned
WHERE fees.grains > burned.grains;
