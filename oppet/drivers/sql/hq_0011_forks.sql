-- Forks are few and are asked for with every page: an alarm that was lost is derived from them.
CREATE INDEX stream_fork ON stream (till, epoch) WHERE branch <> '';
