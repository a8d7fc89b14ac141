-- Which token a message came with: programs share an account, and people ask what one of them sends.

alter table message add column token_id bigint;  -- null: a person, in the panel or at a command; and all from before this
