-- What is found.
begin;
select plan(16);
select results_eq('select name, total from turnover order by name',
  $$values ('Ada', 120.50), ('Grace', 9.99)$$, 'turnover is by customer');
select results_eq('select name, sum(total) over (order by name) from turnover order by name',
  $$values ('Ada', 120.50), ('Grace', 130.49)$$, 'sums run');
select is((select name from customer where address @> '{"tags": ["loyal"]}'), 'Ada', 'documents are searched');
select is((select address #>> '{tags,0}' from customer where name = 'Ada'), 'early', 'documents have paths');
select is(jsonb_path_query_first('{"a": [1, 5, 9]}', '$.a[*] ? (@ > 4)'), '5', 'paths have conditions');
select is((select name from customer where name % 'Gracie'), 'Grace', 'who is misspelt is found');
select is((select count(*) from purchase where bought && '[2024-02-02, 2024-02-05)'), 1::bigint, 'ranges overlap');
select results_eq($$with recursive n(i) as (select 1 union all select i * 2 from n where i < 100) select i from n order by i desc limit 1$$,
  array[128], 'queries recur');
select is(to_tsvector('english', 'The mice were running') @@ to_tsquery('english', 'mouse & run'), false, 'stems are no synonyms');
select ok(to_tsvector('english', 'They were running') @@ to_tsquery('english', 'run'), 'words have stems');
select is(upper('zoë' collate "und-x-icu"), 'ZOË', 'ICU knows its letters');
select results_eq($$select w from (values ('z'), ('ä'), ('a')) t(w) order by w collate "de-x-icu"$$, array['a', 'ä', 'z'], 'ICU knows their order');
select is(encode(sha256('abc'), 'hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'digests are the known ones');
select is((xpath('/a/b/text()', '<a><b>1</b></a>'))[1]::text, '1', 'XML is searched');
select throws_ok($$select '<a><b></a>'::xml$$, '2200N', null, 'what is no XML is refused');
select is(regexp_replace('2024-01-31', '(\d+)-(\d+)-(\d+)', '\3.\2.\1'), '31.01.2024', 'patterns capture');
select * from finish();
rollback;
