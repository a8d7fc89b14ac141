-- When a message may go: at a time that its customer asked for, and marketing only in its account's window.

alter table account
    -- `always`, or days and hours in the recipient's time zone (account/window.py).
    add column marketing_window text not null default 'mon-sat 09:00-22:00';
create trigger tell_of_window after update of marketing_window on account
    for each statement execute function tell_of_change();

alter table message add column scheduled_at timestamptz;  -- as its customer asked; null: at once

alter table queue
    add column opens_at timestamptz,   -- not before, whoever tries again; null: at once
    add column closes_at timestamptz;  -- from then on it waits for the next opening; null: it may go at any hour
create index queue_closing on queue (closes_at) where state = 0 and closes_at is not null;
