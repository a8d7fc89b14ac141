-- Routes by more than the prefix. A condition that is null fits every message.
alter table route
    add column position integer not null default 100 check (position between 0 and 1000000),  -- lower ones come first
    add column account_id bigint references account,
    add column class smallint check (class between 0 and 2),  -- message.MessageClass
    add column operator text check (operator <> ''),          -- of the number, by the look-up; in small letters
    -- Of rules that agree in position and conditions those with a weight share; one without is for when they cannot.
    add column weight integer not null default 0 check (weight between 0 and 1000);
alter table route drop constraint route_prefix_smsc_id_key;
alter table route add constraint route_once
    unique nulls not distinct (prefix, smsc_id, position, account_id, class, operator);
