-- A small shop, loaded before the tests.
create extension pgtap;
create extension pg_trgm;

create table customer (
  id integer generated always as identity primary key,
  name text not null check (name <> ''),
  address jsonb not null default '{}'
);
create table purchase (
  id integer generated always as identity primary key,
  customer integer not null references customer on delete cascade,
  bought tstzrange not null,
  amount numeric(10, 2) not null check (amount > 0)
);
create index purchase_of_customer on purchase (customer);
create index customer_by_name on customer using gin (name gin_trgm_ops);

create view turnover as
  select customer.name, sum(amount) as total, count(*) as purchases
  from customer join purchase on purchase.customer = customer.id
  group by customer.id;

create function discount(total numeric) returns numeric language plpgsql immutable strict as $$
begin
  if total < 0 then
    raise exception 'a total is never negative' using errcode = 'check_violation';
  end if;
  return round(case when total >= 100 then total * 0.9 else total end, 2);
end $$;

create table audit (at timestamptz default clock_timestamp(), who text, what text);
create function noted() returns trigger language plpgsql as $$
begin
  insert into audit (who, what) values (current_user, tg_op || ' ' || coalesce(new.name, old.name));
  return coalesce(new, old);
end $$;
create trigger customer_noted after insert or update or delete on customer for each row execute function noted();

insert into customer (name, address) values
  ('Ada', '{"city": "London", "tags": ["early", "loyal"]}'), ('Grace', '{"city": "Arlington"}'), ('Zoë', '{}');
insert into purchase (customer, bought, amount) values
  (1, '[2024-01-01, 2024-01-02)', 80.00), (1, '[2024-02-01, 2024-02-03)', 40.50), (2, '[2024-01-15, 2024-01-16)', 9.99);
