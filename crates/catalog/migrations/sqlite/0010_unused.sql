-- The number was skipped; it is filled so that the sequence has no gap.
SELECT 1;
