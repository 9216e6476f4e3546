"""The pages: what they show (`views`), how a panel is made of it, templates and files."""
