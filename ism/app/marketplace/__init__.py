"""A marketplace's own tables on Supabase: read into the market, and answered there (docs/supabase.md)."""
