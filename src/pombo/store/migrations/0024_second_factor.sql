-- What a person shows beside the password: codes of an application (RFC 6238), or recovery codes.

create table second_factor (
    person_id bigint primary key references person on delete cascade,
    secret_sealed bytea not null,        -- what codes are made of
    on_since timestamptz,                -- null: begun, and no code of it was seen yet; nobody is asked for one
    last_step bigint not null default 0, -- of thirty seconds: a code is good once, and none from before it (RFC 6238 §5.2)
    wrong integer not null default 0     -- codes in a row, from people who knew the password
);

create table recovery_code (
    person_id bigint not null references second_factor on delete cascade,
    hmac bytea not null,
    primary key (person_id, hmac)
);

-- Who has shown a password, or a one-time link, and no code yet: rows of the last minutes only.
create table sign_in_half (
    hmac bytea primary key,              -- of what the cookie holds
    person_id bigint not null references person on delete cascade,
    by_code boolean not null,            -- as the session's will be
    kept boolean not null,               -- "continue signed in on this computer"
    ends_at timestamptz not null
);
create index sign_in_half_person on sign_in_half (person_id);
