-- What is kept of people, and for how long: texts by their account's retention, a number until it is asked to be erased
-- (store/privacy.py has the list of all places), and who used the platform for six months.

alter table account
    add column retention_days integer not null default 90 check (retention_days between 1 and 3650);

-- When its texts went, or all that tells whose it was: then `number` (`source`) is 0 (''), and count, money and state stay.
alter table message add column erased_at timestamptz;
alter table inbox add column erased_at timestamptz;
create index inbox_text on inbox (account_id, received_at) where erased_at is null;

-- Up to which message the texts of an account have gone. Messages are walked by their ids, which are in order of time: an
-- index of those with a text would have to be kept up with each message that is accepted.
create table retention (
    account_id bigint primary key,
    message_id bigint not null
);
-- Messages that were passed by on that walk, since they were scheduled or still in the queue.
create table retention_late (
    message_id bigint primary key,
    account_id bigint not null,
    look_at timestamptz not null
);
create index retention_late_look on retention_late (look_at);

-- What was erased a moment ago, of which a process may still hold something in memory and write it: it is erased once more.
create table erased_again (
    kind smallint not null,              -- 1: a message, 2: a reply
    subject_id bigint not null,
    due_at timestamptz not null,
    primary key (kind, subject_id)
);
create index erased_again_due on erased_again (due_at);

-- `11999999999`: without the country, as people write it.
create function national_digits(number bigint) returns text language sql immutable strict parallel safe as $$
    select regexp_replace(number::text, '^55(?=[0-9]{10,11}$)', '')
$$;

-- Planners' statistics are samples of what stands in a column: of texts they would outlive it, and nothing asks by them.
-- (Giving a column its type anew drops what was sampled before.)
alter table message
    alter column body type text, alter column sent_body type text, alter column destination type text,
    alter column body set statistics 0, alter column sent_body set statistics 0, alter column destination set statistics 0;
alter table inbox alter column body type text, alter column body set statistics 0;
alter table callback_attempt
    alter column url type text, alter column answer type bytea,
    alter column url set statistics 0, alter column answer set statistics 0;
alter table parked_receipt alter column body type bytea, alter column body set statistics 0;
alter table reply_part alter column octets type bytea, alter column octets set statistics 0;

-- Who used the platform, when, from where (Marco Civil da Internet, art. 15). Requests of one minute are one row.
create table access (
    minute_at timestamptz not null,
    kind text not null check (kind in ('api', 'panel', 'command')),
    who text not null,                   -- 'token 3', 'person 7', 'cli:maria@gateway1'
    what text not null,                  -- 'send', 'read'; 'sign in'; the command's words
    address text not null,               -- '': not known, or this machine itself
    account_id bigint not null,          -- 0: none
    times integer not null,
    primary key (minute_at, kind, who, what, address, account_id)
) with (fillfactor = 80);
create index access_account on access (account_id, minute_at);

-- When the audit trail got its record of an opt-out, which nobody but the person themself has done (app/optouts.py).
alter table block add column told_at timestamptz;
create index block_untold on block (created_at) where reason = 'reply' and told_at is null;
