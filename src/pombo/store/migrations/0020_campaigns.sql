-- Campaigns: a file's rows, each of which becomes one message at the most.

create table campaign (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    name text not null check (name <> ''),
    state smallint not null default 0,           -- campaign.states.State
    file_name text not null,
    titles text[] not null,                      -- of the file's columns
    uses text[] not null,                        -- campaign.columns.Use, of each column
    body text not null default '',               -- with variables: {nome}
    text_mode text not null default '',          -- '': the account's
    class smallint not null default 2,           -- message.MessageClass
    empty_refused boolean not null default true, -- a row whose variable is empty; else it goes without the word
    version integer not null default 0,          -- grows when what a row becomes is changed
    start_at timestamptz,                        -- not before; null: at once
    row_count integer not null default 0,
    done_to integer not null default 0,          -- the line up to which all rows are checked, or accepted or refused
    accepted integer not null default 0,         -- rows that became messages
    refused integer not null default 0,          -- rows that never will
    waits_for text not null default '',          -- why a running one sends nothing just now, or a paused one stopped
    cancel_queued boolean not null default false,-- what waits in the queue is cancelled, too
    holder uuid,                                 -- the process that is at work on it
    lease_until timestamptz,
    created_by text not null default '',
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at timestamptz,
    outcome jsonb,                               -- what became of its messages, once that moves no more
    erased_at timestamptz                        -- its rows and its text are gone
) with (fillfactor = 50);
create index campaign_account on campaign (account_id, id);
create index campaign_work on campaign (id) where state in (1, 3, 5);
create trigger tell after update of state on campaign for each statement execute function tell_of_change();

-- A row of the file. No foreign keys: it is only ever written together with its campaign, by store/campaign_rows.py.
create table campaign_row (
    campaign_id bigint not null,
    n integer not null,                          -- its line, as spreadsheets count: the titles are line 1
    cells text[] not null,                       -- as many as titles; of a started campaign only those that are used
    number bigint,                               -- E.164 digits; null where the row has none that is one
    parts smallint not null default 0,
    plain_parts smallint not null default 0,     -- that it would have without accents
    price_milli integer not null default 0,      -- of all parts
    refusal text not null default '',            -- campaign.reasons.Reason; '': it is to be sent
    detail text not null default '',             -- the line it repeats, the variable that is empty
    message_id bigint,                           -- that it became
    primary key (campaign_id, n)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- What happened to a campaign, for its customer.
create table campaign_event (
    id bigint generated always as identity primary key,
    campaign_id bigint not null,
    at timestamptz not null default clock_timestamp(),
    kind text not null,
    who text not null default '',                -- a person; '': it did so by itself
    detail text not null default ''
);
create index campaign_event_campaign on campaign_event (campaign_id, id);
