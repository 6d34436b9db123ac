"""Reading a store: a moment's files as DataFrames and views, its runs, its incumbents."""
