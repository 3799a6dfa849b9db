"""SQL programs as data: `parse` reads them, `program` holds them, `unparse` writes them again;
`tables` and `ddl_text` do the same for schemas.
"""
