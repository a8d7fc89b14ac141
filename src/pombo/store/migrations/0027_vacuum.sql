-- Dead versions of these rows go when their page is next written (heap-only tuples, 0026) or are few: a vacuum is for the
-- visibility map and for old transactions' numbers. At a twentieth of the table, or after a thousand rows, it came every
-- ten seconds as long as a table is small, read and wrote each page once more, and took a tenth of PostgreSQL's time.
alter table message set (
    autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 200000,
    autovacuum_vacuum_insert_threshold = 200000, autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 10000
);
alter table attempt set (
    autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 200000,
    autovacuum_vacuum_insert_threshold = 200000, autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 10000
);
alter table message_key set (
    autovacuum_vacuum_insert_threshold = 200000, autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 10000
);
alter table callback_attempt set (
    autovacuum_vacuum_insert_threshold = 200000, autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 10000
);
