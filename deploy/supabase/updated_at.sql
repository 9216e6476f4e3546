-- Optional: a time of change for the marketplace's own tables, so that ISM reads what changed instead of whole tables.
-- For each table that is there and has no column updated_at: adds it, an index, and a trigger that keeps it.
-- Running it again changes nothing. Other names? Change the list, and name the column in the mapping (docs/supabase.md).

begin;

create or replace function public.ai_touch() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at = now();
  return new;
end
$$;

do $$
declare
  named text;
begin
  foreach named in array array['companies', 'materials', 'symbiotic_matches', 'material_exchanges'] loop
    continue when to_regclass('public.' || quote_ident(named)) is null;
    continue when exists (
      select 1 from information_schema.columns
      where table_schema = 'public' and table_name = named and column_name = 'updated_at'
    );
    execute format('alter table public.%I add column updated_at timestamptz not null default now()', named);
    execute format('create index on public.%I (updated_at, id)', named);
    execute format(
      'create trigger ai_touch before insert or update on public.%I for each row execute function public.ai_touch()',
      named
    );
  end loop;
end
$$;

notify pgrst, 'reload schema';

commit;
