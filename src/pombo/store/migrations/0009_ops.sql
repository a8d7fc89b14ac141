-- What is stuck can be counted, and what is long over be found, without reading what is not.

create index queue_held on queue (smsc_id) where state = 2;
create index callback_parked on callback (account_id, id) where state = 2;
create index session_ended on session (ended_at) where ended_at is not null;
