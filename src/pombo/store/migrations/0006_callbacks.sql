-- Attempts at callbacks are kept with what was sent and what was answered; a replay begins a new schedule.

-- One row per attempt. What names a person (`url`, `answer`) is emptied with the message's text.
create table callback_attempt (
    callback_id bigint not null,
    at timestamptz not null,             -- when it began; its whole seconds were the webhook-timestamp
    url text not null,                   -- as called, parameters included
    signature text not null,             -- webhook-signature
    address text not null,               -- the address dialled; '' when none was
    status integer,                      -- HTTP status of the answer, where there was one
    error text not null,                 -- why it failed; '' where the status says so
    duration_ms integer not null,
    answer bytea not null                -- its first octets, head included, as they came
);
create index callback_attempt_callback on callback_attempt (callback_id);

alter table callback add column replayed_at timestamptz;  -- the schedule counts from here; null: from created_at
-- Of a row that is parked, due_at is when it was parked.
