-- What receipts say before the last word, and what the last word was.
alter table attempt
    add column interim text not null default '',  -- the last word that is not final, such as ENROUTE, as received
    add column interim_at timestamptz,
    add column failed_as smallint;                -- message.State that a failed receipt means

-- An attempt that is uncertain asks for the parked receipts of its handset.
create index parked_receipt_number on parked_receipt (smsc_id, number) where number is not null;
