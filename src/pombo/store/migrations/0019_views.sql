-- Filters of messages that people of an account keep under a name.

create table saved_view (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    name text not null check (name <> ''),
    query text not null,                 -- as it stands in the page's address
    created_at timestamptz not null default now(),
    unique (account_id, name)
);
