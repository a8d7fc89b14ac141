-- Money: who may owe how much, what a part costs, what is given back, and who is running out.

alter table account
    add column billing text not null default 'prepaid' check (billing in ('prepaid', 'postpaid')),
    add column limit_milli bigint not null default 0 check (limit_milli >= 0),  -- postpaid: the balance may go down to -limit
    add column refund_rejected boolean not null default true,       -- see store/endings.py
    add column refund_undelivered boolean not null default false,
    add column low_balance_milli bigint not null default 0 check (low_balance_milli >= 0);  -- 0: no notice
alter table account
    -- What it may still spend.
    add column available_milli bigint not null generated always as
        (balance_milli + case billing when 'postpaid' then limit_milli else 0 end) stored,
    add constraint account_available check (available_milli >= 0),
    drop constraint account_balance_milli_check;

-- What was given back when the message ended; null: nothing.
alter table message add column refunded_milli bigint check (refunded_milli between 1 and price_milli);

-- The customer's, or our own, name of a booking: made twice, it counts once.
alter table ledger add column reference text check (reference <> '');
create unique index ledger_reference on ledger (account_id, reference) where reference is not null;
-- A statement is read from one time to another.
drop index ledger_account;
create index ledger_account on ledger (account_id, at, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: nothing in it is changed or removed', tg_table_name;
end $$;
create trigger append_only before update or delete on ledger for each row execute function refuse_change();

-- Prices of one part. A condition that is null fits every message; see account/prices.py for who wins.
create table price (
    id integer generated always as identity primary key,
    account_id bigint references account,
    prefix text not null check (prefix ~ '^[0-9]*$'),
    class smallint check (class between 0 and 2),  -- message.MessageClass
    price_milli integer not null check (price_milli between 0 and 10000000),
    created_at timestamptz not null default now(),
    constraint price_once unique nulls not distinct (account_id, prefix, class)
);
create trigger tell after insert or update or delete on price for each statement execute function tell_of_change();

-- What somebody should see to. One is open per account and kind until its cause is gone.
create table notice (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    kind text not null check (kind in ('balance_low')),
    at timestamptz not null default now(),
    told_at timestamptz,   -- a node has logged it
    ended_at timestamptz   -- its cause is gone
);
create unique index notice_open on notice (account_id, kind) where ended_at is null;
create index notice_untold on notice (id) where told_at is null;
create trigger tell after insert on notice for each statement execute function tell_of_change();

-- In the very commit that crosses the line, whatever crosses it; a charge that does not pays for a comparison. It is ended by whoever books a recharge (store/ledger.py): a refund that lifts the
-- balance for a moment is no reason to say it all again.
create function notice_low_balance() returns trigger language plpgsql as $$
begin
    insert into notice (account_id, kind) values (new.id, 'balance_low') on conflict do nothing;
    return null;
end $$;
create trigger low_balance after update of balance_milli, billing, limit_milli, low_balance_milli on account for each row
    when (old.available_milli >= old.low_balance_milli and new.available_milli < new.low_balance_milli) execute function notice_low_balance();
