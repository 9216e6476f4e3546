-- Tables that ISM writes into a Supabase project, and who may read them. Run it in the SQL editor, or with psql; running
-- it again changes nothing.
--
--   anon            sees nothing
--   authenticated   sees the rows of the companies that its user belongs to, and writes nothing
--   service_role    reads and writes everything (ISM uses its key)

begin;

-- Who belongs to which company. Fill it with the service role; or put the company's identifier into the user's
-- app_metadata.company_id; or let ai_company_ids() ask your own tables.
create table if not exists public.ai_members (
  user_id uuid not null,
  company_id text not null check (company_id <> ''),
  primary key (user_id, company_id)
);
create index if not exists ai_members_company_id on public.ai_members (company_id);

-- Which receivers were shown for which offer, and how good they are.
create table if not exists public.ai_matches (
  recommendation_id text primary key,
  request_id text not null,
  rank integer not null check (rank >= 1),
  offer_id text not null,                     -- materials.id
  company_id text,                            -- companies.id of who offers: whose row this is
  receiver_kind text not null check (receiver_kind in ('company', 'sector')),
  receiver_id text not null,                  -- companies.id, or nace: and a code
  final_score double precision not null check (final_score between 0 and 1),
  confidence double precision not null check (confidence between 0 and 1),
  engine_scores jsonb not null default '{}',  -- engine -> probability
  model_versions jsonb not null default '{}',
  created_at timestamptz not null
);
create index if not exists ai_matches_offer on public.ai_matches (offer_id, created_at desc, request_id desc);
create index if not exists ai_matches_company_id on public.ai_matches (company_id);

-- What the AI learns from: what people said about matches, and what came of them.
create table if not exists public.ai_feedback_events (
  event_id text primary key,
  event_type text not null,
  source text not null,
  data jsonb not null,
  event_time timestamptz not null,
  recorded_at timestamptz not null,
  metadata jsonb not null default '{}',
  priority smallint not null check (priority between 1 and 5),
  recommendation_id text,
  offer_id text,
  receiver_id text,
  company_id text                             -- of who offers: whose row this is
);
create index if not exists ai_feedback_events_company_id on public.ai_feedback_events (company_id);
create index if not exists ai_feedback_events_recommendation on public.ai_feedback_events (recommendation_id);

-- The companies of who asks. Security definer: members need not be able to read ai_members as a whole.
create or replace function public.ai_company_ids() returns setof text
language sql stable security definer set search_path = '' as $$
  select company_id from public.ai_members where user_id = auth.uid()
  union
  select auth.jwt() -> 'app_metadata' ->> 'company_id'
  where auth.jwt() -> 'app_metadata' ->> 'company_id' is not null
$$;
revoke all on function public.ai_company_ids() from public, anon;
grant execute on function public.ai_company_ids() to authenticated, service_role;

-- The latest matches of each offer, with the rights of who asks.
create or replace view public.ai_current_matches with (security_invoker = true) as
  select m.* from public.ai_matches m
  where not exists (
    select 1 from public.ai_matches later
    where later.offer_id = m.offer_id and (later.created_at, later.request_id) > (m.created_at, m.request_id)
  );

alter table public.ai_members enable row level security;
alter table public.ai_matches enable row level security;
alter table public.ai_feedback_events enable row level security;

-- Supabase grants every new table to everybody; these are for few.
revoke all on public.ai_members, public.ai_matches, public.ai_feedback_events, public.ai_current_matches
  from public, anon, authenticated;
grant select on public.ai_members, public.ai_matches, public.ai_feedback_events, public.ai_current_matches
  to authenticated;
grant select, insert, update, delete on public.ai_members, public.ai_matches, public.ai_feedback_events
  to service_role;
grant select on public.ai_current_matches to service_role;

-- There is no policy for writing, so nobody but the service role, which no policy binds, can write.
drop policy if exists ai_members_own on public.ai_members;
create policy ai_members_own on public.ai_members for select to authenticated
  using (user_id = (select auth.uid()));
drop policy if exists ai_matches_own on public.ai_matches;
create policy ai_matches_own on public.ai_matches for select to authenticated
  using (company_id in (select public.ai_company_ids()));
drop policy if exists ai_feedback_events_own on public.ai_feedback_events;
create policy ai_feedback_events_own on public.ai_feedback_events for select to authenticated
  using (company_id in (select public.ai_company_ids()));

notify pgrst, 'reload schema';

commit;
