-- People who use the panel, their sessions, and the codes that let them in once.

create table person (
    id bigint generated always as identity primary key,
    account_id bigint not null references account,
    email text not null unique check (email = lower(email)),  -- one person, one account
    name text not null default '',
    role text not null check (role in ('admin', 'sender', 'viewer', 'developer')),
    password_hash text,                  -- argon2id; null: none chosen yet, a code lets them in
    locale text check (locale in ('pt', 'en')),  -- null: as the browser asks
    theme text not null default 'system' check (theme in ('light', 'dark', 'system')),
    created_at timestamptz not null default now(),
    signed_in_at timestamptz
);
create index person_account on person (account_id, id);

create table panel_session (
    id bigint generated always as identity primary key,
    person_id bigint not null references person on delete cascade,
    hmac bytea not null unique,          -- of what the cookie holds
    by_code boolean not null,            -- whoever came by a code may choose a password without knowing the old one
    idle interval not null,              -- ends so long after it was used last
    address text not null,
    browser text not null,               -- what it calls itself
    created_at timestamptz not null default now(),
    used_at timestamptz not null default now(),  -- a minute behind
    ends_at timestamptz not null         -- however much it is used
);
create index panel_session_person on panel_session (person_id);

create table sign_in_code (
    hmac bytea primary key,
    person_id bigint not null references person on delete cascade,
    ends_at timestamptz not null
);
create index sign_in_code_person on sign_in_code (person_id);

-- Passwords that are being tried, and those that were wrong: rows of the last minutes only.
create table sign_in_try (
    id bigint generated always as identity primary key,
    hmac bytea not null,                 -- of the address, or of the e-mail and whether the browser is known
    at timestamptz not null default now()
);
create index sign_in_try_key on sign_in_try (hmac, at);
create index sign_in_try_at on sign_in_try (at);
