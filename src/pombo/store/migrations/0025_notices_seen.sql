-- Up to when a person has seen what happened (store/attention.py).
alter table person add column notices_seen_at timestamptz not null default now();
