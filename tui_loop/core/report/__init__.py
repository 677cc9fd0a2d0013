"""The report of a loop: facts gathered once from the record, written as one file of any kind.

`gather` reads the record into a `facts.Report`; `sections` turns it into a document, which
`markdown` and `html` write out; `table` makes a spreadsheet of it, and its facts are the JSON.
"""
