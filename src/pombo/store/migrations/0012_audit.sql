-- Who changed what, when, from where. Each record carries the hash of the one before; see store/audit.py.

create table audit (
    id bigint primary key,          -- without gaps: given under the lock of the chain
    at timestamptz not null,
    actor text not null,            -- 'cli:maria@gateway1'
    source text not null,           -- address and terminal; '' where there is none
    action text not null,           -- 'smsc.set'
    subject text not null,          -- 'smsc 3'
    before jsonb,                   -- never a secret, a text or a whole number
    after jsonb,
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32)
);
create index audit_subject on audit (subject, id);
create index audit_at on audit (at);
create trigger append_only before update or delete or truncate on audit for each statement execute function refuse_change();
