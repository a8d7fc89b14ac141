-- The engine's breadth: how a connection is bound, written to and owned, and what an account's messages are unless
-- they say otherwise.

alter table smsc
    -- One transceiver, or a transmitter and a receiver, `binds` times.
    add column bind_mode text not null default 'transceiver' check (bind_mode in ('transceiver', 'pair')),
    add column binds smallint not null default 1 check (binds between 1 and 32),
    add column tls boolean not null default false,
    add column tls_ca text not null default '',    -- PEM of who may have signed; '': whom the system trusts
    add column tls_name text not null default '',  -- the name in the operator's certificate; '': its host
    add column long_mode text not null default 'udh8' check (long_mode in ('udh8', 'udh16', 'sar', 'payload')),
    add column receipt_ids text not null default 'auto' check (receipt_ids in ('auto', 'raw', 'hex', 'dec')),
    -- {"69": "temporary"}: what a command_status of this operator means, where that is not the usual.
    add column verdicts jsonb not null default '{}' check (jsonb_typeof(verdicts) = 'object'),
    add column operator_validity_s integer not null default 0 check (operator_validity_s >= 0),  -- 0: as the operator likes
    add column response_timeout_s integer not null default 60 check (response_timeout_s between 1 and 3600),
    add column enquire_link_s integer not null default 30 check (enquire_link_s between 1 and 3600),
    add column patience_s integer not null default 60 check (patience_s >= 0),  -- down for longer: messages go elsewhere
    add column wanted text not null default 'started' check (wanted in ('started', 'draining', 'stopped'));

-- How a connection stands right now, as its owner sees it. A connection without a row was never bound.
create table link (
    smsc_id integer primary key references smsc on delete cascade,
    bound smallint not null default 0 check (bound >= 0),  -- binds that the operator has taken and that stand
    down_since timestamptz default now()                   -- null while something is bound
);

alter table account
    add column class smallint not null default 1 check (class between 0 and 2),  -- message.MessageClass
    add column source_addr text not null default '',  -- '': that of the connection
    add column source_ton smallint not null default 0 check (source_ton between 0 and 255),
    add column source_npi smallint not null default 0 check (source_npi between 0 and 255);

alter table message add column class smallint not null default 1;  -- message.MessageClass

drop trigger tell on smsc;
create trigger tell after insert or delete or update of name, host, port, system_id, password_sealed, system_type, window_size,
    rate_per_s, alphabet, source_addr, source_ton, source_npi, uncertain_policy, validity_s, bind_mode, binds, tls, tls_ca,
    tls_name, long_mode, receipt_ids, verdicts, operator_validity_s, response_timeout_s, enquire_link_s, patience_s, wanted
    on smsc for each statement execute function tell_of_change();
create trigger tell after insert or delete or update of bound, down_since on link
    for each statement execute function tell_of_change();
drop trigger tell on account;
create trigger tell after insert or delete or update of name, active, price_milli, max_parts, text_mode, time_zone, class,
    source_addr, source_ton, source_npi on account for each statement execute function tell_of_change();
