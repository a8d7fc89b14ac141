-- What an account may do at the most: 0 is no limit. What it has used stands beside it, in the row that the intake
-- locks and changes for every charge anyway, so that a limit is exact however many processes accept for it.
alter table account
    add column requests_per_s integer not null default 0 check (requests_per_s >= 0),  -- of each process that accepts
    add column messages_per_s integer not null default 0 check (messages_per_s >= 0),
    add column messages_per_day bigint not null default 0 check (messages_per_day >= 0),
    add column spend_per_day_milli bigint not null default 0 check (spend_per_day_milli >= 0),
    -- In an hour, to numbers that agree in all but their last three digits.
    add column messages_per_prefix integer not null default 0 check (messages_per_prefix >= 0),
    -- Where it may send to: ISO 3166 codes.
    add column countries text[] not null default '{BR}' check (countries <> '{}'),
    add column used_on date not null default '2000-01-01',  -- in the account's time zone
    add column day_messages bigint not null default 0,
    add column day_spent_milli bigint not null default 0,
    add column used_second timestamptz not null default '2000-01-01 00:00+00',
    add column second_messages integer not null default 0;
create trigger tell_of_limits after update of requests_per_s, messages_per_prefix, countries on account
    for each statement execute function tell_of_change();

-- How many messages went to numbers that begin so, of accounts with messages_per_prefix; for an hour or two. More than
-- `most` fails the statement that accepts, which then looks closer.
create table velocity (
    account_id bigint not null,
    prefix bigint not null,              -- a number without its last three digits
    hour_at timestamptz not null,
    messages integer not null,
    most integer not null,
    refused integer not null default 0,
    primary key (account_id, prefix),
    check (messages <= most)
) with (fillfactor = 70);

alter table notice drop constraint notice_kind_check,
    add constraint notice_kind_check check (kind in ('balance_low', 'prefix_limit'));
