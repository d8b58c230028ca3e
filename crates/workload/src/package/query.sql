-- Work for SQLite: what it prints is always the same.
PRAGMA journal_mode = WAL;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, region INTEGER);
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER, amount REAL, day TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO customer SELECT i, 'customer ' || (i * 7919 % 2003), i % 17 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO sale SELECT i, 1 + i * 31 % 2000, (i * 37 % 1009) / 8.0, date('2020-01-01', '+' || (i % 900) || ' days') FROM n;
COMMIT;
CREATE INDEX sale_by_customer ON sale (customer);
CREATE INDEX sale_by_day ON sale (day, amount);
SELECT region, count(*), round(sum(amount), 2) FROM sale JOIN customer ON customer.id = sale.customer
  GROUP BY region ORDER BY 3 DESC, 1 LIMIT 5;
SELECT substr(day, 1, 7) AS month, max(amount), avg(amount) FROM sale GROUP BY month ORDER BY 3 DESC LIMIT 3;
SELECT count(*) FROM customer WHERE name LIKE '%99%' AND EXISTS
  (SELECT 1 FROM sale WHERE sale.customer = customer.id AND amount > 120);
UPDATE sale SET amount = amount * 1.5 WHERE customer % 3 = 0;
DELETE FROM sale WHERE day BETWEEN '2021-01-01' AND '2021-02-01';
SELECT count(*), round(total(amount), 2) FROM sale;
PRAGMA integrity_check;
