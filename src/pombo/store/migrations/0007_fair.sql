-- Claims go turn by turn over the accounts: each account's waiting messages of a class stand together, the earliest first.
create index queue_turn on queue (smsc_id, class, account_id, due_at, message_id) where state = 0;
drop index queue_due;
