-- Whom an account writes with: conversations, contacts, and texts kept for them.

-- One per account and handset that has written to it. What people have seen of it in the panel is counted here and has
-- nothing to do with inbox.read_at, which is the customer's program's.
create table conversation (
    id bigint generated always as identity primary key,  -- in addresses of pages, which must not hold numbers
    account_id bigint not null,
    handset text not null,               -- as inbox.source has it
    number bigint generated always as    -- null where it is no number of Brazil
        (case when handset ~ '^55[0-9]{10,11}$' then handset::bigint end) stored,
    replies integer not null,            -- that have come
    seen integer not null default 0,     -- of them, the first so many; the others are unread
    last_at timestamptz not null,        -- when either side last wrote in it; what programs send does not count
    answer_id bigint,                    -- the message that somebody last answered it with
    unique (account_id, handset),
    check (seen between 0 and replies)
) with (fillfactor = 75);
create index conversation_last on conversation (account_id, last_at, id);
create index conversation_unread on conversation (account_id, last_at, id) where seen < replies;
create index conversation_number on conversation (number) where number is not null;
create index inbox_handset on inbox (account_id, source, id);

create function note_conversations() returns trigger language plpgsql as $$
begin
    insert into conversation as c (account_id, handset, replies, last_at)
    select account_id, source, count(*), max(received_at) from arrived where account_id is not null
    group by account_id, source order by account_id, source  -- crossing batches wait for each other
    on conflict (account_id, handset) do update
    set replies = c.replies + excluded.replies, last_at = greatest(c.last_at, excluded.last_at);
    return null;
end $$;
create trigger conversations after insert on inbox referencing new table as arrived
    for each statement execute function note_conversations();

-- What came before there was a panel is no news.
insert into conversation (account_id, handset, replies, seen, last_at)
select account_id, source, count(*), count(*), max(received_at) from inbox where account_id is not null
group by account_id, source;

create table contact (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    number bigint not null,              -- E.164 digits
    name text not null default '',
    folded text not null,                -- the name without case and accents, to search and to order by
    labels text[] not null default '{}',
    note text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (account_id, number)
);
create index contact_order on contact (account_id, folded, id);
create index contact_number on contact (number);

-- Texts that are used again and again, with variables (text/variables.py).
create table template (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    name text not null check (name <> ''),
    folded text not null,                -- as contact.folded
    body text not null check (body <> ''),
    class smallint check (class between 0 and 2),  -- message.MessageClass; null: the account's
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (account_id, folded)
);
