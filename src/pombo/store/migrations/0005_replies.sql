-- Replies: whose a short code or a keyword is, and long replies in national alphabets.

-- One form of a number that messages come from, however it is written: 27300, +27300; 5511992345678, +5511992345678,
-- 011992345678, 1192345678 (before the ninth digit came). Names stay names.
create function service_address(address text) returns text language sql immutable strict parallel safe as $$
    select lower(regexp_replace(regexp_replace(coalesce(nullif(ltrim(btrim(address), '+0'), ''), address),
                                               '^55(?=[1-9][0-9]{9,10}$)', ''),
                                '^([1-9][0-9])(?=[689][0-9]{7}$)', '\19'))
$$;

-- Who gets replies that answer no message. Read with each reply: a change counts from the next one on.
create table reply_owner (
    address text not null,               -- service_address(number)
    keyword text not null default '',    -- the first word, as text/keyword.py folds it; '' for any
    number text not null,                -- as it was given
    account_id bigint not null references account,
    created_at timestamptz not null default now(),
    primary key (address, keyword)
);
create index reply_owner_account on reply_owner (account_id);

alter table reply_part
    add column locking smallint not null default 0,     -- the language of the header's locking shift table
    add column single smallint not null default 0,      -- and of its single shift table
    add column again boolean not null default false;    -- it came once more after its reply was joined
