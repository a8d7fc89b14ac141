-- The foundation. Times are timestamptz; money is thousandths of a real (_milli); numbers are E.164 digits.
-- Hot tables carry no foreign keys: every insert would pay for a look-up, and their rows are only ever
-- written together with what they refer to, by statements in store/. `pombo doctor` looks for orphans.

-- One row per fact about this database, for example the fingerprint of the secret it was made with.
create table fact (
    name text primary key,
    value text not null
);

-- Numbers 0 to 255 that stand in message ids; each is leased to one running node.
create table node (
    number smallint primary key check (number between 0 and 255),
    holder uuid not null,
    lease_until timestamptz not null
);

create table account (
    id bigint generated always as identity primary key,
    name text not null unique check (name <> ''),
    active boolean not null default true,
    balance_milli bigint not null default 0 check (balance_milli >= 0),
    price_milli bigint not null default 80 check (price_milli >= 0),
    max_parts smallint not null default 10 check (max_parts between 1 and 32),
    text_mode text not null default 'ascii' check (text_mode in ('ascii', 'auto', 'unicode')),
    time_zone text not null default 'America/Sao_Paulo',
    demo boolean not null default false,
    created_at timestamptz not null default now()
) with (fillfactor = 10);

-- Append-only; the sum of an account's entries is its balance. One entry per account and commit of the intake.
create table ledger (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    kind text not null check (kind in ('recharge', 'charge', 'refund', 'adjustment')),
    amount_milli bigint not null,
    messages integer not null default 0,
    note text not null default '',
    at timestamptz not null default now()
);
create index ledger_account on ledger (account_id, id);

-- Tokens are kept as HMAC-SHA256 only; `prefix` (first characters) lets people tell them apart.
create table token (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    hmac bytea not null unique,
    prefix text not null,
    name text not null default '',
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

-- An operator connection. Passwords are sealed with the platform's secret.
create table smsc (
    id integer generated always as identity primary key,
    name text not null unique check (name <> ''),
    host text not null,
    port integer not null check (port between 1 and 65535),
    system_id text not null,
    password_sealed bytea not null,
    system_type text not null default '',
    window_size integer not null default 20 check (window_size between 1 and 1000),
    rate_per_s double precision not null default 0 check (rate_per_s >= 0),  -- 0: as fast as the window allows
    alphabet text not null default 'gsm' check (alphabet in ('gsm', 'latin1', 'ascii')),
    source_addr text not null default '',
    source_ton smallint not null default 0 check (source_ton between 0 and 255),
    source_npi smallint not null default 0 check (source_npi between 0 and 255),
    uncertain_policy text not null default 'resend' check (uncertain_policy in ('resend', 'hold')),
    validity_s integer not null default 86400 check (validity_s > 0),
    id_form text check (id_form in ('same', 'hex_in_receipt', 'dec_in_receipt')),  -- learned; null until known
    demo boolean not null default false,
    created_at timestamptz not null default now()
);

create table route (
    id integer generated always as identity primary key,
    prefix text not null check (prefix ~ '^[0-9]*$'),
    smsc_id integer not null references smsc,
    created_at timestamptz not null default now(),
    unique (prefix, smsc_id)
);

-- One bind of one connection by one node. A session without an end belongs to a node that runs, or that died.
create table session (
    id bigint generated always as identity primary key,
    smsc_id integer not null,
    holder uuid not null,
    started_at timestamptz not null default now(),
    bound_at timestamptz,
    ended_at timestamptz
);
create index session_open on session (holder) where ended_at is null;

-- A client id is used up for 400 days. `content_hmac` tells a retry from a clash, also after the text is erased.
create table message_key (
    account_id bigint not null,
    client_ref text not null,
    message_id bigint not null,
    content_hmac bytea not null,
    accepted_at timestamptz not null,
    primary key (account_id, client_ref)
);

create table message (
    id bigint primary key,              -- 41 bits of milliseconds, 8 of node, 14 of sequence
    account_id bigint not null,
    client_ref text not null,           -- the customer's id
    destination text not null,          -- as the customer wrote it
    number bigint not null,             -- normalised, E.164 digits
    body text not null,                 -- as the customer typed it
    sent_body text,                     -- what goes out, where that differs
    ucs2 boolean not null,              -- goes out as UCS-2; else in the connection's default alphabet
    parts smallint not null,
    price_milli bigint not null,        -- charged for all parts, frozen at accept
    state smallint not null default 0,  -- message.State
    smsc_id integer not null,
    source_addr text not null default '',
    parts_delivered bigint not null default 0,  -- one bit per part
    error text not null default '',     -- the operator's code of the failure that ended it
    accepted_at timestamptz not null,
    sent_at timestamptz,                -- first part taken by the operator
    final_at timestamptz
) with (fillfactor = 75);
create index message_account on message (account_id, id);
create index message_number on message (number, id);

create table queue (
    message_id bigint primary key,
    smsc_id integer not null,
    account_id bigint not null,
    class smallint not null default 1,   -- 0 otp, 1 transactional, 2 marketing
    due_at timestamptz not null,
    expires_at timestamptz not null,
    state smallint not null default 0,   -- message.QueueState
    session_id bigint,                   -- while writing
    attempts smallint not null default 0,
    claims integer not null default 0,   -- tells one claim from the next, whose attempt may have the same number
    parts smallint not null,
    parts_taken bigint not null default 0  -- one bit per part that the operator has taken
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index queue_due on queue (smsc_id, class, due_at, message_id) where state = 0;
create index queue_writing on queue (session_id) where state = 1;

-- One row per submit of one part whose outcome is known, or known to be unknown. Throttled submits leave none:
-- the operator refused before it took the message.
create table attempt (
    message_id bigint not null,
    part smallint not null,              -- 1..parts
    n smallint not null,                 -- 1.. per message
    smsc_id integer not null,
    session_id bigint not null,
    number bigint not null,              -- the handset, to agree with a receipt's source
    smsc_message_id text,                -- as the operator wrote it
    smsc_key text,                       -- its canonical form (receipt/identity.py); '' once none is expected any more
    state smallint not null,             -- message.AttemptState
    status bigint not null default 0,    -- command_status of the response: 32 bits, vendors use the highest
    receipt_error text not null default '',
    submitted_at timestamptz not null,
    receipt_at timestamptz,
    primary key (message_id, part, n)
) with (fillfactor = 85);
create index attempt_key on attempt (smsc_id, smsc_key);
-- Attempts without an answer, for 72 h: then their key becomes '', which no id has. Not `where state = 0`: then no
-- change of state could be a heap-only update.
create index attempt_unanswered on attempt (smsc_id, number) where smsc_key is null;
create index attempt_unanswered_age on attempt (smsc_id, submitted_at) where smsc_key is null;

-- Receipts that match no attempt yet: early, with an unknown or an ambiguous id. Matched again for 72 h.
create table parked_receipt (
    id bigint generated always as identity primary key,
    smsc_id integer not null,
    raw_id text not null,
    number bigint,                       -- the handset, where the receipt carries one
    command_id bigint not null,          -- deliver_sm or data_sm
    body bytea not null,                 -- the PDU's body as msgpack: it is read again when it is matched again
    received_at timestamptz not null default now()
);
create index parked_receipt_age on parked_receipt (received_at);
create unique index parked_receipt_once on parked_receipt (smsc_id, md5(body));
create table parked_key (
    smsc_id integer not null,
    key text not null,
    parked_receipt_id bigint not null references parked_receipt on delete cascade,
    primary key (smsc_id, key, parked_receipt_id)
);
create index parked_key_receipt on parked_key (parked_receipt_id);

-- Replies. account_id is null while nobody owns the reply.
create table inbox (
    id bigint primary key,
    account_id bigint,
    smsc_id integer not null,
    source text not null,                -- the handset: E.164 digits, or whatever the operator sent
    destination text not null,           -- the number it answered to
    body text not null,
    data_coding smallint not null,
    message_id bigint,                   -- the message it answers
    client_ref text not null default '', -- that message's id, as its customer knows it
    body_hash bytea not null,            -- of the PDU's body: an operator that got no answer sends it again
    session_id bigint not null,
    sequence_number bigint not null,
    received_at timestamptz not null default now(),
    leased_until timestamptz,            -- while a request to mo.php holds it
    read_at timestamptz
);
create index inbox_unread on inbox (account_id, received_at, id) where read_at is null;
create index inbox_account on inbox (account_id, received_at, id);
create index inbox_hash on inbox (smsc_id, body_hash);

-- Parts of long replies, until all have come or their time is up; and for as long again, to know repetitions by.
create table reply_part (
    smsc_id integer not null,
    source text not null,
    destination text not null,
    reference integer not null,
    total smallint not null,
    sequence smallint not null,
    data_coding smallint not null,
    octets bytea not null,
    session_id bigint not null,
    received_at timestamptz not null default now(),
    joined boolean not null default false,  -- its reply is in the inbox
    primary key (smsc_id, source, destination, reference, total, sequence)
);
create index reply_part_age on reply_part (received_at);

-- Where a customer wants to be called.
create table endpoint (
    account_id bigint not null references account,
    kind smallint not null,              -- message.CallbackKind
    url text not null,
    literal boolean not null default false,  -- append /status=… as the original document writes it
    any_2xx boolean not null default false,
    secret_sealed bytea not null,
    updated_at timestamptz not null default now(),
    primary key (account_id, kind)
);

-- The outbox of callbacks: written in the commit that causes them.
create table callback (
    id bigint generated always as identity primary key,
    account_id bigint not null,
    kind smallint not null,              -- message.CallbackKind
    subject_id bigint not null,          -- message.id or inbox.id
    state smallint not null default 0,   -- message.CallbackState
    attempts smallint not null default 0,
    due_at timestamptz not null default now(),
    leased_by uuid,                      -- the node that is delivering it; forgotten when the lease ends
    leased_until timestamptz,
    last_status integer,                 -- HTTP status of the last attempt
    last_error text not null default '',
    created_at timestamptz not null default now()
) with (fillfactor = 75);
create index callback_due on callback (account_id, kind, due_at) where state = 0;
create index callback_subject on callback (kind, subject_id);

-- Running processes hear of changed settings at once; they also reload them now and then.
create function tell_of_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('pombo_change', tg_table_name);
    return null;
end $$;
create trigger tell after insert or delete or update of name, active, price_milli, max_parts, text_mode, time_zone on account
    for each statement execute function tell_of_change();
create trigger tell after insert or update or delete on token for each statement execute function tell_of_change();
create trigger tell after insert or delete or update of host, port, system_id, password_sealed, system_type, window_size, rate_per_s,
    alphabet, source_addr, source_ton, source_npi, uncertain_policy, validity_s on smsc
    for each statement execute function tell_of_change();
create trigger tell after insert or update or delete on route for each statement execute function tell_of_change();
create trigger tell after insert or update or delete on endpoint for each statement execute function tell_of_change();
