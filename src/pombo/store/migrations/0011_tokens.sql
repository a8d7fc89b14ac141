-- What a token may do, from where, and until when. Networks that are empty allow every address.
alter table token
    add column class smallint check (class between 0 and 2),  -- message.MessageClass; null: the account's
    add column scopes text[] not null default '{send,read}' check (scopes <> '{}' and scopes <@ '{send,read}'),
    add column networks cidr[] not null default '{}',
    add column expires_at timestamptz,
    add column used_at timestamptz;      -- written in bulk now and then: a minute or so behind
alter table account add column networks cidr[] not null default '{}';
create index token_account on token (account_id);

-- When it was used last is no change that anybody must hear of.
drop trigger tell on token;
create trigger tell after insert or delete or update of account_id, hmac, class, scopes, networks, expires_at, revoked_at
    on token for each statement execute function tell_of_change();
create trigger tell_of_networks after update of networks on account
    for each statement execute function tell_of_change();
