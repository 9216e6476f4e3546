"""Getting tables in: CSV and XLSX templates, read strictly, all or nothing.

`importer.import_file` is the door; `templates` says what a table looks like; `export` writes one.
"""
