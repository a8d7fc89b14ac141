-- Conduct: numbers that must not be written to, and links that a person looks at first.

-- A number stands here as a keyed hash only (account/secret.py), so that it can be found and not read.
create table block (
    number_hmac bytea not null check (octet_length(number_hmac) = 16),
    account_id bigint not null,          -- 0: the operator's, which counts for every account
    reason text not null check (reason in ('reply', 'import', 'manual')),
    inbox_id bigint,                     -- the reply that asked for it
    created_at timestamptz not null default now(),
    -- What is still to be done about it: a confirmation is owed. Null once it is settled.
    owed_since timestamptz,
    primary key (number_hmac, account_id)
);
create index block_account on block (account_id, created_at, number_hmac);
create index block_owed on block (owed_since) where owed_since is not null;

alter table account
    add column optout_text text not null default '',          -- what confirms an opt-out; '': app/optouts.py says it
    add column links_guarded boolean not null default false;  -- messages with links to other hosts wait for a person

-- Hosts that an account's links may lead to, and what lies below them.
create table allowed_host (
    account_id bigint not null references account,
    host text not null check (host <> ''),   -- small letters, IDN in its ASCII form
    created_at timestamptz not null default now(),
    primary key (account_id, host)
);
create trigger tell after insert or update or delete on allowed_host
    for each statement execute function tell_of_change();
create trigger tell_of_links after update of links_guarded on account
    for each statement execute function tell_of_change();

-- Why the platform itself holds a message, such as `link`; '' where a person does, or its fate is not known.
alter table queue add column held_for text not null default '';
