"""PTX text and what it says: lexer, parser, and the records they fill."""
