-- What was sold in one store may come back in another (R17): the list is of the store that sold it. This is the one question
-- that spans stores; on Citus it runs on a copy of the returns, gathered at the coordinator.
CREATE INDEX stream_till ON stream (till, epoch);

CREATE OR REPLACE VIEW double_return AS
    SELECT sold.store_id, r.original_till, r.original_epoch, r.original_number, l.original_line,
           sold.quantity_milli AS sold_milli, -sum(l.quantity_milli) AS returned_milli, -sum(l.net_ore) AS returned_ore,
           count(DISTINCT (r.stream_id, r.seq)) AS times, min(r.time) AS first_time, max(r.time) AS last_time
    FROM receipt r
    JOIN line l ON l.store_id = r.store_id AND l.day = r.day AND l.stream_id = r.stream_id AND l.seq = r.seq
    JOIN LATERAL (
        SELECT os.store_id, max(ol.quantity_milli) AS quantity_milli
        FROM stream os
        JOIN receipt o ON o.store_id = os.store_id AND o.stream_id = os.stream_id AND o.number = r.original_number AND o.kind = 'sale'
        JOIN line ol ON ol.store_id = o.store_id AND ol.day = o.day AND ol.stream_id = o.stream_id AND ol.seq = o.seq
                    AND ol.line = l.original_line
        WHERE os.till = r.original_till AND os.epoch = r.original_epoch
        GROUP BY os.store_id
    ) sold ON true
    WHERE r.original_till IS NOT NULL
    GROUP BY sold.store_id, r.original_till, r.original_epoch, r.original_number, l.original_line, sold.quantity_milli
    HAVING -sum(l.quantity_milli) > sold.quantity_milli;
