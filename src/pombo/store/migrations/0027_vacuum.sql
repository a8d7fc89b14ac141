-- Dead versions of these rows go when their page is next written (heap-only tuples, 0026) or are few: a vacuum is for the
-- visibility map and for old transactions' numbers. At a twentieth of the table, or after a thousand rows, vacuums and
-- analyses came every ten seconds as long as a table is small, and took a tenth of PostgreSQL's time.
alter table message set (
    autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 500000,
    autovacuum_vacuum_insert_threshold = 500000, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 50000
);
alter table attempt set (
    autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 500000,
    autovacuum_vacuum_insert_threshold = 500000, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 50000
);
alter table message_key set (
    autovacuum_vacuum_insert_threshold = 500000, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 50000
);
alter table callback_attempt set (
    autovacuum_vacuum_insert_threshold = 500000, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 50000
);
-- Nothing asks what its columns hold (its plans are pinned), and it is another table every second.
alter table queue set (autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 50000);
