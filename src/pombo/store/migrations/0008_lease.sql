-- Many nodes on one database: which of them owns an operator connection, and what each of them does.

-- Only the owner binds, claims and writes. A row stays when its lease ends: the next owner has the next epoch.
create table lease (
    smsc_id integer primary key references smsc on delete cascade,
    holder uuid not null,
    epoch bigint not null,
    lease_until timestamptz not null
) with (fillfactor = 50);

-- Of 'api', 'send' and 'callback'. Connections are shared out among the nodes that send.
alter table node add column roles text[] not null default '{}';
